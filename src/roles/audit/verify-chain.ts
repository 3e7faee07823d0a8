/**
 * Tamper verification of one zone's chain (audit-and-events §13): every row is recomputed
 * from what Postgres returns, linked to its predecessor, and the last one compared with the head.
 * Nothing is repaired.
 */
import { timingSafeEqual } from 'node:crypto'
import type { Database } from '../../platform/db/port.ts'
import type { HmacKey } from '../../platform/keys.ts'
import { chainKeyId, contentHash, linkHmac } from './canonical.ts'
import { type StoredLink, walkChain } from './store/walk-chain.ts'

export interface ChainFinding {
  readonly kind: 'content_mismatch' | 'chain_break' | 'hmac_failure' | 'missing_links' | 'truncated'
  readonly zoneId: string
  /** Sequence number of the row that shows it; for `missing_links` and `truncated` the first one that is not there. */
  readonly chainSeq: number
  readonly eventId: string | null
}

export interface ChainReport {
  readonly zoneId: string
  readonly checked: number
  readonly findings: readonly ChainFinding[]
}

/** Verifies the zone's chain from `fromSeq` (default 1) to the head. Rejects only when Postgres cannot be asked. */
export async function verifyChain(
  db: Database,
  key: HmacKey,
  zoneId: string,
  options: { readonly fromSeq?: number } = {},
): Promise<ChainReport> {
  const findings: ChainFinding[] = []
  const report = (kind: ChainFinding['kind'], chainSeq: number, eventId: string | null) =>
    findings.push({ kind, zoneId, chainSeq, eventId })
  let checked = 0
  const fromSeq = options.fromSeq ?? 1
  // Only a walk from the start knows what the first row must point to.
  const expected: { seq: number; previous: string | null | undefined } = {
    seq: fromSeq,
    previous: fromSeq === 1 ? null : undefined,
  }
  const head = await walkChain(db, zoneId, fromSeq, (row) => {
    checked += 1
    if (row.chainSeq !== expected.seq) report('missing_links', expected.seq, row.form.id)
    else if (expected.previous !== undefined && row.prevContentSha256 !== expected.previous) {
      report('chain_break', row.chainSeq, row.form.id)
    }
    if (contentHash(row.form) !== row.contentSha256) report('content_mismatch', row.chainSeq, row.form.id)
    if (!hmacHolds(key, row)) report('hmac_failure', row.chainSeq, row.form.id)
    expected.seq = row.chainSeq + 1
    expected.previous = row.contentSha256
  })
  const lastSeq = expected.seq - 1
  if (head !== null && head.chainSeq > lastSeq) report('truncated', expected.seq, null)
  else if (checked > 0 && (head?.chainSeq !== lastSeq || head.contentSha256 !== expected.previous)) {
    report('chain_break', lastSeq, null)
  }
  return { zoneId, checked, findings }
}

/** Only the key whose id the row carries may vouch for it; a row without one needs a keyless (dev) chain. */
function hmacHolds(key: HmacKey, row: StoredLink): boolean {
  if (key.accepted.length === 0) return true
  const used = key.accepted.find((candidate) => chainKeyId(candidate) === row.chainKeyId)
  if (used === undefined) return false
  const expected = Buffer.from(linkHmac(used, row.contentSha256, row.prevContentSha256))
  const stored = Buffer.from(row.chainHmac ?? '')
  return expected.length === stored.length && timingSafeEqual(expected, stored)
}
