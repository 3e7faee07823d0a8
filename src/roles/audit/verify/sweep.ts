/**
 * The periodic tamper sweeps (audit-and-events §13) of every chain, ledger and administrative. The recent one goes on
 * from the last clean checkpoint, but at least over the rolling window. The whole one reads everything, when a leader
 * begins and once a day; where the ledger is large it takes longer than that, and the recent one does not wait for it.
 * Whoever changes evidence may change what the database says of a sweep too: the whole one believes none of it and
 * begins at the first link.
 */
import type { Logger } from 'pino'
import { adminChainName } from '../../../platform/admin-audit/chain-name.ts'
import type { Database } from '../../../platform/db/port.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { checkpointSequence, recordCheckpoint } from '../store/attested.ts'
import { adminChains } from '../store/walk-admin-chain.ts'
import { firstSequenceSince, unhurried, zonesWithEvidence } from '../store/walk-chain.ts'
import type { ChainFinding, ChainReport } from './findings.ts'
import { verifyAdminChain } from './verify-admin-chain.ts'
import { verifyChain } from './verify-chain.ts'

const dayMs = 86_400_000

export interface SweepCounts {
  checked: number
  mismatches: number
  chainBreaks: number
  hmacFailures: number
  /** Unix seconds, 0 before the first. */
  lastSweep: number
  lastFull: number
}

export function noSweepYet(): SweepCounts {
  return { checked: 0, mismatches: 0, chainBreaks: 0, hmacFailures: 0, lastSweep: 0, lastFull: 0 }
}

export interface SweepDeps {
  readonly db: Database
  readonly key: HmacKey
  readonly log: Logger
  readonly rollingHours: number
  readonly counts: SweepCounts
}

/** Sweeps what was not yet found clean, and the rolling window. */
export async function sweepRecent(deps: SweepDeps, signal: AbortSignal): Promise<void> {
  const startedAt = Date.now()
  const since = new Date(startedAt - deps.rollingHours * 3_600_000).toISOString()
  await sweepChains(deps, (zoneId) => rollingStart(deps.db, zoneId, since), signal)
  deps.counts.lastSweep = Math.floor(startedAt / 1000)
}

/** Sweeps everything, unless a sweep of everything that ended began less than a day ago. */
export async function sweepWhole(deps: SweepDeps, signal: AbortSignal): Promise<void> {
  const startedAt = Date.now()
  if (startedAt - deps.counts.lastFull * 1000 < dayMs) return
  await sweepChains(deps, async () => 1, signal)
  deps.counts.lastFull = Math.floor(startedAt / 1000)
}

/** Sweeps all chains once. Findings are counted and logged, one line each; nothing is repaired. */
async function sweepChains(
  deps: SweepDeps,
  startOf: (zoneId: string) => Promise<number>,
  signal: AbortSignal,
): Promise<void> {
  const { db, key, counts } = deps
  const onFinding = (finding: ChainFinding) => tell(deps, finding)

  for (const zoneId of await zonesWithEvidence(db)) {
    const options = { fromSeq: await startOf(zoneId), onFinding, signal, pace: unhurried }
    await settle(zoneId, await verifyChain(db, key, zoneId, options))
  }
  for (const zoneId of await adminChains(db))
    await settle(adminChainName(zoneId), await verifyAdminChain(db, key, zoneId, { onFinding, signal }))

  async function settle(chain: string, report: ChainReport): Promise<void> {
    counts.checked += report.checked
    // A chain with findings keeps its old checkpoint, so the next sweep names them again.
    if (report.total === 0 && report.last !== null) await recordCheckpoint(db, chain, report.last)
  }
}

async function rollingStart(db: Database, zoneId: string, since: string): Promise<number> {
  const [checkpoint, window] = await Promise.all([
    checkpointSequence(db, zoneId),
    firstSequenceSince(db, zoneId, since),
  ])
  return Math.max(1, Math.min(checkpoint, window ?? checkpoint))
}

function tell({ log, counts }: SweepDeps, finding: ChainFinding): void {
  if (finding.kind === 'content_mismatch') counts.mismatches += 1
  else if (finding.kind === 'hmac_failure') counts.hmacFailures += 1
  else counts.chainBreaks += 1
  log.error(
    {
      event_id: finding.eventId,
      zone_id: finding.zoneId,
      chain_seq: finding.chainSeq,
      finding: finding.kind,
    },
    'audit_tamper_detected',
  )
}
