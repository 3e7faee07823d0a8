/**
 * The picture of everything revoked, read from Postgres (gateway §8.2): at start,
 * every 30 s and on request. A picture older than 70 s is no picture: callers deny.
 */
import type { Database } from '../../../platform/db/port.ts'
import type { Anchors, RevocationSet } from './set.ts'

export interface Snapshot {
  /**
   * Installs a snapshot whose read begins after the call. Whoever asks while one is read shares the next one: what made
   * them ask may be younger than the one under way. Rejects when Postgres cannot be read.
   */
  load(): Promise<void>
  fresh(): boolean
  /** Seconds since the last successful load; `Infinity` before the first. */
  ageSeconds(): number
}

export const snapshotIntervalMs = 30_000
const maxAgeMs = 2 * snapshotIntervalMs + 10_000

export interface SnapshotOptions {
  readonly db: Database
  readonly set: RevocationSet
  readonly counters: { revocation_reloads: number; revocation_reload_errors: number }
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

export function createSnapshot(options: SnapshotOptions): Snapshot {
  const { db, set, counters } = options
  const now = options.now ?? (() => performance.now())
  let loadedAt = Number.NEGATIVE_INFINITY
  let last: Promise<void> = Promise.resolve()
  let next: Promise<void> | null = null

  const read = async (): Promise<void> => {
    const marksBefore = set.marks
    // The age counts from before the read: what was revoked while it ran may be missing.
    const startedAt = now()
    try {
      const anchors = await readRevoked(db)
      set.replace(anchors, marksBefore)
      loadedAt = startedAt
      counters.revocation_reloads += 1
    } catch (error) {
      counters.revocation_reload_errors += 1
      throw error
    }
  }

  return {
    load() {
      next ??= last
        .catch(() => undefined)
        .then(() => {
          next = null
          last = read()
          return last
        })
      return next
    },
    fresh: () => now() - loadedAt <= maxAgeMs,
    ageSeconds: () => (now() - loadedAt) / 1000,
  }
}

/**
 * One statement, so the three kinds are of one instant. Read-only; scans rows of the
 * last day by status. The pool must see every zone (`caracal.zone_id = '*'`).
 */
async function readRevoked(db: Database): Promise<Anchors> {
  const rows = await db.sql<{ kind: string; id: string }[]>`
    select 'record' as kind, id
    from authority_records
    where status = 'revoked'
      and expires_at > now() - interval '24 hours'
    union all
    select 'session', id
    from agent_sessions
    where status in ('terminated', 'expired')
      and updated_at > now() - interval '24 hours'
    union all
    select 'delegation', id
    from delegation_edges
    where status = 'revoked'
      and revoked_at > now() - interval '24 hours'
  `
  const anchors = { records: [] as string[], sessions: [] as string[], delegations: [] as string[] }
  for (const { kind, id } of rows) {
    if (kind === 'record') anchors.records.push(id)
    else if (kind === 'session') anchors.sessions.push(id)
    else anchors.delegations.push(id)
  }
  return anchors
}
