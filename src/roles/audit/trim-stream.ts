/**
 * Shrinks the audit stream to what is still needed (audit-and-events §6.5): acknowledging an
 * entry does not remove it, and publishing never trims audit streams. Only what lies below both
 * the oldest pending entry and the last delivered one goes, so nothing that was not ingested is lost.
 */
import { type Bus, GroupLost, type WorkGroup } from '../../platform/bus/port.ts'
import { compareIds } from '../../platform/bus/position.ts'
import { auditStream } from './frame.ts'

/**
 * On Postgres the ledger sits in the same store, so a settled entry is a second copy of a stored row:
 * a short tail for broadcast readers is enough, whatever `AUDIT_STREAM_MAXLEN` allows on Redis.
 */
const keptOnPostgres = 10_000

/** A stream that grows fast is trimmed in several small steps within a minute, not in one that everybody waits for. */
const storedPerTrim = 5_000
const trimEveryMs = 60_000

/**
 * A job to run every few seconds: it looks at the stream once a minute, and before that when `stored` has grown by
 * enough. Between, it asks nothing.
 */
export function createTrimmer(
  trim: () => Promise<void>,
  stored: () => number,
  now: () => number = () => performance.now(),
): () => Promise<void> {
  let last: { readonly at: number; readonly stored: number } | null = null
  return async () => {
    const current = { at: now(), stored: stored() }
    const due =
      last === null || current.at - last.at >= trimEveryMs || current.stored - last.stored >= storedPerTrim
    if (!due) return
    last = current
    await trim()
  }
}

/** Trims once when the stream is longer than it should be. */
export async function trimStream(bus: Bus, group: WorkGroup, maxLength: number): Promise<void> {
  const length = bus.driver === 'postgres' ? Math.min(maxLength, keptOnPostgres) : maxLength
  if ((await bus.length(auditStream)) <= length) return
  const settled = await settledId(group)
  if (settled !== null) await bus.trim(auditStream, { minId: settled })
}

/** Everything below this id was acknowledged. Null while there is no group: then nothing was. */
async function settledId(group: WorkGroup): Promise<string | null> {
  try {
    const { oldestPendingId, lastDeliveredId } = await group.stats()
    if (oldestPendingId === null) return lastDeliveredId
    return compareIds(oldestPendingId, lastDeliveredId) < 0 ? oldestPendingId : lastDeliveredId
  } catch (error) {
    if (error instanceof GroupLost) return null
    throw error
  }
}
