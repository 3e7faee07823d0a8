/**
 * One runner among many processes: a transaction lock for sweeps that finish
 * within one transaction, a session lease for leaders that hold on
 * (audit-and-events §15, storage-and-operations §7.2).
 */

import type { Logger } from 'pino'
import type postgres from 'postgres'
import type { Database, Queryable } from '../db/port.ts'
import type { Job } from './job.ts'

/**
 * Tries the transaction lock `hashtext(key)`; true = this transaction is the runner until it ends.
 * Never waits.
 */
export async function withXactTryLock(tx: Pick<Queryable, 'sql'>, key: string): Promise<boolean> {
  const [row] = await tx.sql<{ locked: boolean }[]>`
    select pg_try_advisory_xact_lock(hashtext(${key})) as locked`
  return row?.locked === true
}

export interface LeaderLease extends AsyncDisposable {
  readonly held: boolean
  /** How often leadership was won or lost. */
  readonly transitions: number
  /** `<name>`: contends or verifies every 30 s. */
  readonly job: Job
  /** Contends or verifies now; answers whether this process leads. */
  contend(): Promise<boolean>
}

export interface LeaderLeaseOptions {
  readonly db: Database
  readonly log: Logger
  /** snake_case name of the job. */
  readonly name: string
  /** Advisory lock key as decimal text, for example `4846245113962180657`. */
  readonly key: string
  readonly intervalMs?: number
  readonly probeTimeoutMs?: number
}

interface Held {
  readonly connection: postgres.ReservedSql
  readonly pid: number
}

/**
 * Session-level lease on a connection of its own. A probe that fails or is answered by another
 * session steps down at once. Does not work through a transaction-mode pooler.
 */
export function createLeaderLease(options: LeaderLeaseOptions): LeaderLease {
  const { db, log, name, key } = options
  const probeTimeoutMs = options.probeTimeoutMs ?? 5000
  let held: Held | null = null
  let transitions = 0
  let closed = false
  let contending: Promise<boolean> | null = null

  const bounded = async <T>(work: Promise<T>): Promise<T> => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('leader probe timed out')), probeTimeoutMs)
    })
    try {
      return await Promise.race([work, late])
    } finally {
      clearTimeout(timer)
    }
  }

  const change = (next: Held | null): void => {
    if ((held === null) === (next === null)) return
    held = next
    transitions += 1
    log.info({ lease: name, held: next !== null }, 'leader_lease_changed')
  }

  const verify = async (current: Held): Promise<boolean> => {
    try {
      // The driver may have replaced the connection; the lock lives in the old session only.
      const [row] = await bounded(
        current.connection<{ pid: number; locked: boolean }[]>`
          select pg_backend_pid() as pid,
                 exists (
                   select 1 from pg_locks
                   where locktype = 'advisory' and pid = pg_backend_pid() and granted and objsubid = 1
                     and (classid::bigint << 32 | objid::bigint) = ${key}::bigint) as locked`,
      )
      if (row?.pid === current.pid && row.locked) return true
    } catch (error) {
      log.warn({ err: error, lease: name }, 'leader_probe_failed')
    }
    change(null)
    current.connection.release()
    return false
  }

  const acquire = async (): Promise<boolean> => {
    const connection = await bounded(db.sql.reserve())
    try {
      const [row] = await bounded(
        connection<{ pid: number; locked: boolean }[]>`
          select pg_backend_pid() as pid, pg_try_advisory_lock(${key}::bigint) as locked`,
      )
      if (row?.locked === true && !closed) {
        change({ connection, pid: row.pid })
        return true
      }
      if (row?.locked === true) await bounded(connection`select pg_advisory_unlock(${key}::bigint)`)
      connection.release()
      return false
    } catch (error) {
      connection.release()
      throw error
    }
  }

  const contend = (): Promise<boolean> => {
    contending ??= (async () => {
      if (held !== null && (await verify(held))) return true
      return closed ? false : await acquire()
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
      intervalMs: options.intervalMs ?? 30_000,
      immediate: true,
      async run() {
        await contend()
      },
    },
    async [Symbol.asyncDispose]() {
      closed = true
      await contending?.catch(() => undefined)
      const current = held
      if (current === null) return
      change(null)
      try {
        await bounded(current.connection`select pg_advisory_unlock(${key}::bigint)`)
      } catch {
        // The session is gone, and the lock with it.
      }
      current.connection.release()
    },
  }
}
