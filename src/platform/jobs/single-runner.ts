/**
 * One runner among many processes: a transaction lock for sweeps that finish
 * within one transaction, a session lease for leaders that hold on
 * (audit-and-events §15, storage-and-operations §7.2).
 */

import type { Logger } from 'pino'
import type { Database, OwnSession, Queryable, Tx } from '../db/port.ts'
import { within } from '../within.ts'
import type { Job, JobContext } from './job.ts'

/**
 * Tries the transaction lock of `key`: a decimal number is the lock itself, any other text is hashed
 * with `hashtext`. True = this transaction is the runner until it ends. Never waits.
 */
export async function withXactTryLock(tx: Pick<Queryable, 'sql'>, key: string): Promise<boolean> {
  const [row] = /^\d+$/.test(key)
    ? await tx.sql<{ locked: boolean }[]>`select pg_try_advisory_xact_lock(${key}::bigint) as locked`
    : await tx.sql<{ locked: boolean }[]>`select pg_try_advisory_xact_lock(hashtext(${key})) as locked`
  return row?.locked === true
}

export interface SingleRunnerOptions {
  readonly db: Database
  /** snake_case name of the job. */
  readonly name: string
  readonly intervalMs: number
  /** As for `withXactTryLock`. */
  readonly key: string
  /**
   * One bounded batch of work in the transaction that holds the lock; may run again after a serialization failure.
   * True: more may be left, and the next batch follows at once in a transaction of its own.
   */
  run(tx: Tx, context: JobContext): Promise<boolean>
}

/** A job that runs in one process at a time: an iteration that finds the lock taken does nothing. */
export function singleRunner(options: SingleRunnerOptions): Job {
  return {
    name: options.name,
    intervalMs: options.intervalMs,
    async run(context) {
      for (let more = true; more && !context.signal.aborted; )
        more = await options.db.transaction(
          async (tx) => (await withXactTryLock(tx, options.key)) && (await options.run(tx, context)),
        )
    },
  }
}

export interface LeaderLease extends AsyncDisposable {
  readonly held: boolean
  /** How often leadership was won or lost. */
  readonly transitions: number
  /** `<name>`: contends or verifies every 30 s. */
  readonly job: Job
  /** Contends or verifies now, and says on `log` what changed; answers whether this process leads. */
  contend(log?: Logger): Promise<boolean>
}

export interface LeaderLeaseOptions {
  readonly db: Database
  readonly log: Logger
  /** snake_case name of the job. */
  readonly name: string
  /** Advisory lock key as decimal text, for example `4846245113962180657`. */
  readonly key: string
  readonly probeTimeoutMs?: number
}

interface Held {
  readonly session: OwnSession
  readonly pid: number
}

const contendEveryMs = 30_000
const probeTimedOut = (): Error => new Error('leader probe timed out')

/**
 * Session-level lease on a connection of its own. A lost session and a probe that fails step down
 * at once. Does not work through a transaction-mode pooler.
 */
export function createLeaderLease(options: LeaderLeaseOptions): LeaderLease {
  const { db, log, name, key } = options
  const probeTimeoutMs = options.probeTimeoutMs ?? 5000
  let held: Held | null = null
  let transitions = 0
  let closed = false
  let contending: Promise<boolean> | null = null

  const bounded = <T>(work: Promise<T>): Promise<T> => within(work, probeTimeoutMs, probeTimedOut)

  const change = (next: Held | null, told: Logger): void => {
    if ((held === null) === (next === null)) return
    held = next
    transitions += 1
    told.info({ lease: name, held: next !== null }, 'leader_lease_changed')
  }

  /**
   * Asked through the pool and by process id: a statement on a reserved connection that died is
   * fatal in the driver, and a driver that reconnected would answer for another session.
   */
  const stillLocked = async (current: Held): Promise<boolean> => {
    const rows = await bounded(
      db.sql`
        select 1 from pg_locks
        where locktype = 'advisory' and granted and objsubid = 1
          and database = (select oid from pg_database where datname = current_database())
          and pid = ${current.pid}
          and (classid::bigint << 32 | objid::bigint) = ${key}::bigint`,
    )
    return rows.length > 0
  }

  const verify = async (current: Held, told: Logger): Promise<boolean> => {
    try {
      if (await stillLocked(current)) return true
    } catch (error) {
      told.warn({ err: error, lease: name }, 'leader_probe_failed')
    }
    release(current, told)
    return false
  }

  /** Steps down at once; the session's end gives the lock back. */
  const release = ({ session }: Held, told: Logger): void => {
    change(null, told)
    session[Symbol.dispose]()
  }

  const acquire = async (told: Logger): Promise<boolean> => {
    const opening = db.session()
    let session: OwnSession | null = null
    try {
      session = await bounded(opening)
      const [row] = await bounded(
        session.sql<{ pid: number; locked: boolean }[]>`
          select pg_backend_pid() as pid, pg_try_advisory_lock(${key}::bigint) as locked`,
      )
      if (row?.locked === true && !closed) {
        const next: Held = { session, pid: row.pid }
        session.lost.catch(() => {
          if (held === next) change(null, log)
        })
        session = null
        change(next, told)
        return true
      }
      return false
    } finally {
      if (session !== null) session[Symbol.dispose]()
      else if (held === null) opening.then((late) => late[Symbol.dispose]()).catch(() => undefined)
    }
  }

  const contend = (told = log): Promise<boolean> => {
    contending ??= (async () => {
      if (held !== null && (await verify(held, told))) return true
      return closed ? false : await acquire(told)
    })().finally(() => {
      contending = null
    })
    return contending
  }

  return {
    get held() {
      return held !== null
    },
    get transitions() {
      return transitions
    },
    contend,
    job: {
      name,
      intervalMs: contendEveryMs,
      immediate: true,
      async run(context) {
        await contend(context.log)
      },
    },
    async [Symbol.asyncDispose]() {
      closed = true
      await contending?.catch(() => undefined)
      if (held !== null) release(held, log)
    },
  }
}
