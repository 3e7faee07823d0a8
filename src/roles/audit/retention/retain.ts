/**
 * Retention (audit-and-events §14.1): months ahead exist, expired ones go as a whole. Before a month
 * is dropped, in the same transaction, the links it takes out of each chain are recorded under the
 * audit key, so that a verifier tells retention from truncation. Nothing that the archive has not
 * taken yet is dropped.
 */
import type { Logger } from 'pino'
import type { Database, Tx } from '../../../platform/db/port.ts'
import { sqlState } from '../../../platform/db/unavailable.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { type ChainCut, insertCuts } from '../store/chain-cuts.ts'
import { exportedUntil } from '../store/export-watermark.ts'
import {
  closePartition,
  defaultSlice,
  dropMonth,
  type Edge,
  ensureMonths,
  expireDefault,
  expiredMonths,
  hasUnexported,
  instantDaysAgo,
  retentionDays,
  runEdges,
  type Slice,
  sliceOf,
} from '../store/partitions.ts'
import { signCut } from '../verify/cover-gap.ts'

const monthsAhead = 3

export interface RetentionCounts {
  created: number
  dropped: number
}

export interface RetentionDeps {
  readonly db: Database
  readonly key: HmacKey
  readonly log: Logger
  /** `AUDIT_RETENTION_DAYS`; a smaller value in `audit_retention` wins. */
  readonly maxDays: number
  /** Name of the archive's watermark; null when nothing is archived. */
  readonly archive: string | null
  readonly counts: RetentionCounts
}

/** One round of retention. The caller is the retention leader. */
export async function retain(deps: RetentionDeps, signal: AbortSignal): Promise<void> {
  const { db, counts, maxDays } = deps
  counts.created += (await whenFree(deps, 'months ahead', (tx) => ensureMonths(tx, monthsAhead))) ?? 0
  const days = Math.min(maxDays, (await retentionDays(db)) ?? maxDays)
  for (const month of await expiredMonths(db, days)) {
    if (signal.aborted) return
    if (await cutOut(deps, sliceOf(month), (tx) => dropMonth(tx, month.name))) counts.dropped += 1
  }
  const before = await instantDaysAgo(db, days)
  await cutOut(deps, defaultSlice(before), (tx) => expireDefault(tx, before))
}

const lockNotAvailable = '55P03'

/**
 * A change of the ledger's tables: it may read or move as much as one of them holds, so it takes the time it needs,
 * but waits only shortly for the table. Null when somebody who reads for long has the ledger: the next round tries again.
 */
async function whenFree<T>(
  { db, log }: RetentionDeps,
  partition: string,
  change: (tx: Tx) => Promise<T>,
): Promise<T | null> {
  try {
    return await db.transaction(async (tx) => {
      await tx.sql`set local statement_timeout = 0`
      // Whoever comes to the ledger while we wait for a table waits behind us: never until their statements run out.
      await tx.sql`set local lock_timeout = '2s'`
      return await change(tx)
    })
  } catch (error) {
    if (sqlState(error) !== lockNotAvailable) throw error
    log.warn({ partition }, 'audit_retention_waits_for_reader')
    return null
  }
}

/** True when the slice is gone; not before the archive has come that far. */
async function cutOut(
  deps: RetentionDeps,
  slice: Slice,
  drop: (tx: Tx) => Promise<unknown>,
): Promise<boolean> {
  return (await whenFree(deps, slice.partition, (tx) => cutOutIn(deps, tx, slice, drop))) === true
}

async function cutOutIn(
  { key, log, archive }: RetentionDeps,
  tx: Tx,
  slice: Slice,
  drop: (tx: Tx) => Promise<unknown>,
): Promise<boolean> {
  await closePartition(tx, slice.partition)
  if (archive !== null && (await hasUnexported(tx, slice, await exportedUntil(tx, archive)))) {
    log.warn({ partition: slice.partition }, 'audit_retention_waits_for_export')
    return false
  }
  const cuts = cutsOf(await runEdges(tx, slice), new Date().toISOString()).map((cut) => signCut(key, cut))
  await insertCuts(tx, cuts)
  await drop(tx)
  if (cuts.length > 0)
    log.info({ partition: slice.partition, before: slice.to, cuts: cuts.length }, 'audit_retention_dropped')
  return true
}

/** Pairs the edges: each run of numbers becomes one cut. */
function cutsOf(edges: readonly Edge[], cutAt: string): Omit<ChainCut, 'cutHmac' | 'chainKeyId'>[] {
  const cuts: Omit<ChainCut, 'cutHmac' | 'chainKeyId'>[] = []
  let open: Edge | null = null
  for (const edge of edges) {
    if (edge.first) open = edge
    if (!edge.last || open === null) continue
    cuts.push({
      zoneId: edge.zoneId,
      fromSeq: open.chainSeq,
      toSeq: edge.chainSeq,
      prevSha256: open.prevSha256,
      lastSha256: edge.contentSha256,
      cutAt,
    })
    open = null
  }
  return cuts
}
