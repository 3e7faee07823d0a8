import type { Queryable } from '../../../platform/db/port.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { adminChains } from '../store/walk-admin-chain.ts'
import { firstSequenceSince, readHead, zonesWithEvidence } from '../store/walk-chain.ts'
import type { ChainReport } from './findings.ts'
import { verifyAdminChain } from './verify-admin-chain.ts'
import { verifyChain } from './verify-chain.ts'

export interface EverythingOptions {
  /** Only the chains of this zone. */
  readonly zoneId?: string | undefined
  /** RFC 3339: from the first event that occurred at or after it. Administrative chains are always read whole. */
  readonly since?: string | undefined
}

/** Verifies chain after chain, ledger and administrative, one report each; none for a zone without any. Writes nothing. */
export async function* verifyEverything(
  db: Queryable,
  key: HmacKey,
  { zoneId, since }: EverythingOptions = {},
): AsyncGenerator<ChainReport> {
  const isWanted = (zone: string | null): boolean => zoneId === undefined || zone === zoneId
  for (const zone of (await zonesWithEvidence(db)).filter(isWanted)) {
    const fromSeq = since === undefined ? 1 : await startOf(db, zone, since)
    yield await verifyChain(db, key, zone, { fromSeq })
  }
  for (const zone of (await adminChains(db)).filter(isWanted)) yield await verifyAdminChain(db, key, zone)
}

/** Nothing that recent: the head alone is compared. */
async function startOf(db: Queryable, zoneId: string, since: string): Promise<number> {
  return (await firstSequenceSince(db, zoneId, since)) ?? ((await readHead(db, zoneId))?.chainSeq ?? 0) + 1
}
