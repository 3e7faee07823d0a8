/**
 * Publishes committed outbox rows (audit-and-events §10.2). At least once: a crash
 * between publish and mark publishes the same `outbox_id` again. Rows of one
 * batch keep their order; there is none across workers or retries.
 *
 * A store that cannot be asked never costs a row an attempt.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus } from '../bus/port.ts'
import type { Database } from '../db/port.ts'
import type { JobContext } from '../jobs/job.ts'
import type { EntryMaker } from './entry.ts'
import { anyDue, claimRows, markFailed, markPublished, type OutboxRow, releaseRows } from './rows.ts'

export interface DispatcherOptions {
  readonly db: Database
  readonly bus: Bus
  readonly toEntry: EntryMaker
  readonly worker: string
  readonly batchSize: number
  readonly maxAttempts: number
  readonly leaseSeconds: number
}

export interface Dispatcher {
  /** Publishes what is due until a claim comes back short. Never two at once; a call during a run asks for another round. */
  tick(run: JobContext): Promise<void>
  /** Settles when no tick is running. */
  idle(): Promise<void>
}

const publishTimeoutMs = 5000
/** Rounds start this far apart at least: commits in quick succession share one. The first goes at once. */
const roundGapMs = 10
/** One trip to the bus; the lease is looked at between trips. */
const chunkSize = 100

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { db, bus, worker, toEntry } = options
  let running: Promise<void> | null = null
  let again = false
  let startedAt = Number.NEGATIVE_INFINITY
  /** The bus took what was last sent: it need not be asked first. */
  let busUp = false
  /** The first trip after a claim also fits into a lease that is hardly longer than its time-out. */
  const firstReserveMs = Math.min(publishTimeoutMs, options.leaseSeconds * 500)

  /** Publishes one chunk and records the outcome; false when the bus went away. */
  const publishChunk = async (rows: readonly OutboxRow[], run: JobContext): Promise<boolean> => {
    const outcomes = await bus.publish(rows.map(toEntry))
    busUp = outcomes.every((outcome) => outcome.ok || outcome.reason === 'rejected')
    const published: string[] = []
    const failed: { id: string; error: string }[] = []
    const released: string[] = []
    for (const [index, row] of rows.entries()) {
      const outcome = outcomes[index]
      if (outcome?.ok === true) published.push(row.id)
      else if (outcome?.reason === 'rejected') failed.push({ id: row.id, error: outcome.message })
      else released.push(row.id)
    }
    if (published.length > 0) await markPublished(db, worker, published)
    if (failed.length > 0) {
      const dead = await markFailed(db, worker, failed, options.maxAttempts)
      run.log.warn({ rows: failed.length, error: failed[0]?.error }, 'outbox_publish_rejected')
      if (dead.length > 0) run.log.error({ ids: dead }, 'outbox_rows_dead')
    }
    if (released.length > 0) await releaseRows(db, worker, released)
    return released.length === 0
  }

  /** One claim and its publishes. True when there may be more to do right away. */
  const round = async (run: JobContext): Promise<boolean> => {
    if (!(await anyDue(db))) return false
    try {
      if (!busUp) await bus.ping()
    } catch {
      return false
    }
    const leasedAt = performance.now()
    const rows = await claimRows(db, worker, options.batchSize, options.leaseSeconds)
    for (let at = 0; at < rows.length; at += chunkSize) {
      const left = options.leaseSeconds * 1000 - (performance.now() - leasedAt)
      const rest = rows.slice(at)
      if (run.signal.aborted || left < (at === 0 ? firstReserveMs : publishTimeoutMs)) {
        await releaseRows(
          db,
          worker,
          rest.map((row) => row.id),
        )
        return false
      }
      if (!(await publishChunk(rest.slice(0, chunkSize), run))) {
        const behind = rest.slice(chunkSize).map((row) => row.id)
        if (behind.length > 0) await releaseRows(db, worker, behind)
        return false
      }
    }
    return rows.length === options.batchSize
  }

  const rounds = async (run: JobContext): Promise<void> => {
    const { signal } = run
    let more = false
    do {
      const early = roundGapMs - (performance.now() - startedAt)
      if (!more && early > 0) await sleep(early, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      again = false
      startedAt = performance.now()
      more = await round(run)
    } while (more || again)
  }

  return {
    tick(run) {
      if (running !== null) {
        again = true
        return running
      }
      again = false
      running = rounds(run).finally(() => {
        running = null
      })
      return running
    },
    async idle() {
      await running?.catch(() => undefined)
    },
  }
}
