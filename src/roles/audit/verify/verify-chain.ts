/**
 * Tamper verification of one zone's chain (audit-and-events §13): every row is recomputed
 * from what Postgres returns and linked to its predecessor, the last one compared with the head,
 * and both with what was attested before (checkpoints, signed tree heads), because head and rows
 * can be rewritten together. Nothing is repaired.
 */
import { timingSafeEqual } from 'node:crypto'
import type { Queryable } from '../../../platform/db/port.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { chainKeyId, contentHash, linkHmac } from '../canonical.ts'
import { type Attested, attestedLinks } from '../store/attested.ts'
import { cutsAcross } from '../store/chain-cuts.ts'
import { type Pace, readHead, type StoredLink, strayLink, walkChain } from '../store/walk-chain.ts'
import { coverGap } from './cover-gap.ts'
import { type ChainFinding, type ChainReport, collectFindings, type Findings } from './findings.ts'

export interface VerifyOptions {
  /** First number to verify, default 1; the row before it is read for its hash. */
  readonly fromSeq?: number
  readonly onFinding?: (finding: ChainFinding) => void
  readonly signal?: AbortSignal
  /** Default: hurried. */
  readonly pace?: Pace
}

/** How far the walk came: the next number, and the hash it must point to (undefined: not read). */
interface Place {
  seq: number
  previous: string | null | undefined
}

/** Verifies the zone's chain from `fromSeq` to the head. Rejects only when Postgres cannot be asked or `signal` aborts. */
export async function verifyChain(
  db: Queryable,
  key: HmacKey,
  zoneId: string,
  options: VerifyOptions = {},
): Promise<ChainReport> {
  const findings = collectFindings(zoneId, options.onFinding)
  const fromSeq = options.fromSeq ?? 1
  const anchor = Math.max(1, fromSeq - 1)
  const attested = new Map<number, Attested>()
  for (const one of await attestedLinks(db, zoneId)) attested.set(one.chainSeq, one)
  const head = await readHead(db, zoneId)
  const place: Place = { seq: anchor, previous: anchor === 1 ? null : undefined }
  let checked = 0

  for await (const row of walkChain(db, zoneId, anchor, head?.chainSeq ?? 0, options.pace)) {
    options.signal?.throwIfAborted()
    if (row.chainSeq < place.seq) {
      findings.add('foreign_row', row.chainSeq, row.form.id)
      continue
    }
    await close(db, key, zoneId, place, row.chainSeq, row.form.id, findings)
    if (row.chainSeq >= fromSeq) {
      checked += 1
      verifyLink(key, row, place, findings)
    }
    if (isOtherwise(attested.get(row.chainSeq), row.contentSha256))
      findings.add('attested_otherwise', row.chainSeq, row.form.id)
    place.seq = row.chainSeq + 1
    place.previous = row.contentSha256
  }

  await compareHead(db, key, zoneId, place, head, findings)
  const beyond = Math.max(0, ...attested.keys())
  if (beyond >= place.seq && beyond > (head?.chainSeq ?? 0)) findings.add('truncated', place.seq, null)
  const stray = await strayLink(db, zoneId)
  if (stray !== null) findings.add('foreign_row', stray.chainSeq ?? place.seq, stray.id)
  const last =
    typeof place.previous === 'string' ? { chainSeq: place.seq - 1, contentSha256: place.previous } : null
  return findings.report(checked, last)
}

/** Accounts for numbers that are missing before `nextSeq`. */
async function close(
  db: Queryable,
  key: HmacKey,
  zoneId: string,
  place: Place,
  nextSeq: number,
  nextId: string | null,
  findings: Findings,
): Promise<boolean> {
  if (nextSeq === place.seq) return true
  const gap = { fromSeq: place.seq, toSeq: nextSeq - 1, previous: place.previous }
  const covered = coverGap(key, gap, await cutsAcross(db, zoneId, gap.fromSeq, gap.toSeq))
  if (!covered.ok) findings.add(nextId === null ? 'truncated' : 'missing_links', covered.missingSeq, nextId)
  place.seq = nextSeq
  place.previous = covered.ok ? covered.lastSha256 : undefined
  return covered.ok
}

function verifyLink(key: HmacKey, row: StoredLink, place: Place, findings: Findings): void {
  const at = (kind: ChainFinding['kind']) => findings.add(kind, row.chainSeq, row.form.id)
  if (place.previous !== undefined && row.prevContentSha256 !== place.previous) at('chain_break')
  if (contentHash(row.form) !== row.contentSha256) at('content_mismatch')
  if (!hmacHolds(key, row)) at('hmac_failure')
}

async function compareHead(
  db: Queryable,
  key: HmacKey,
  zoneId: string,
  place: Place,
  head: { readonly chainSeq: number; readonly contentSha256: string } | null,
  findings: Findings,
): Promise<void> {
  if (head === null) return
  if (!(await close(db, key, zoneId, place, head.chainSeq + 1, null, findings))) return
  if (place.previous !== undefined && place.previous !== head.contentSha256) {
    findings.add('chain_break', head.chainSeq, null)
  }
}

function isOtherwise(attested: Attested | undefined, contentSha256: string): boolean {
  return attested !== undefined && attested.contentSha256 !== contentSha256
}

/** Only the key whose id the row carries may vouch for it; without any key (dev) only rows that never had one hold. */
export function hmacHolds(key: HmacKey, row: StoredLink): boolean {
  if (key.accepted.length === 0) return row.chainKeyId === null
  const used = key.accepted.find((candidate) => chainKeyId(candidate) === row.chainKeyId)
  if (used === undefined) return false
  const expected = Buffer.from(linkHmac(used, row.contentSha256, row.prevContentSha256))
  const stored = Buffer.from(row.chainHmac ?? '')
  return expected.length === stored.length && timingSafeEqual(expected, stored)
}
