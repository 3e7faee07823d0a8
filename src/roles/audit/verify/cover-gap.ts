/**
 * Tells retention from truncation: links that are missing are accounted for when cuts cover them
 * without a hole, carry the hash before and after them, and bear the mark of the audit key, which
 * whoever can only write the database does not have.
 */
import { timingSafeEqual } from 'node:crypto'
import { hmacHex } from '../../../platform/crypto/hmac.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { chainKeyId } from '../canonical.ts'
import type { ChainCut } from '../store/chain-cuts.ts'

type UnsignedCut = Omit<ChainCut, 'cutHmac' | 'chainKeyId'>

/** The cut with its mark; without a key (dev only) the mark is empty. */
export function signCut(key: HmacKey, cut: UnsignedCut): ChainCut {
  const { current } = key
  return { ...cut, cutHmac: current === null ? '' : markOf(current, cut), chainKeyId: chainKeyId(current) }
}

function markOf(key: Buffer, cut: UnsignedCut): string {
  const fields = [cut.zoneId, cut.fromSeq, cut.toSeq, cut.prevSha256 ?? '', cut.lastSha256, cut.cutAt]
  return hmacHex(key, `audit-cut\x1f${fields.join('\x1f')}`)
}

function isMarked(key: HmacKey, cut: ChainCut): boolean {
  if (key.accepted.length === 0) return cut.chainKeyId === null
  const used = key.accepted.find((candidate) => chainKeyId(candidate) === cut.chainKeyId)
  if (used === undefined) return false
  const expected = Buffer.from(markOf(used, cut))
  const stored = Buffer.from(cut.cutHmac)
  return expected.length === stored.length && timingSafeEqual(expected, stored)
}

export interface Gap {
  /** First and last number that is missing. */
  readonly fromSeq: number
  readonly toSeq: number
  /** Content hash before the gap: null at the beginning of the chain, undefined when it was not read. */
  readonly previous: string | null | undefined
}

export type Covered =
  /** `lastSha256` is the hash of the gap's last link; undefined when the last cut goes on behind it. */
  | { readonly ok: true; readonly lastSha256: string | undefined }
  | { readonly ok: false; readonly missingSeq: number }

/**
 * Follows the cuts through the gap; `missingSeq` is the first number nothing accounts for. The gap may begin within
 * a cut: a walk that starts late, or that retention overtook, has not seen the cut's first link missing.
 */
export function coverGap(key: HmacKey, gap: Gap, cuts: readonly ChainCut[]): Covered {
  // The head was moved back behind where the walk began.
  if (gap.toSeq < gap.fromSeq) return { ok: false, missingSeq: gap.fromSeq }
  let seq = gap.fromSeq
  let { previous } = gap
  for (const cut of cuts) {
    const follows =
      cut.fromSeq < seq || (cut.fromSeq === seq && (previous === undefined || cut.prevSha256 === previous))
    if (!follows || !isMarked(key, cut)) return { ok: false, missingSeq: seq }
    seq = cut.toSeq + 1
    previous = cut.lastSha256
  }
  if (seq <= gap.toSeq) return { ok: false, missingSeq: seq }
  return { ok: true, lastSha256: seq === gap.toSeq + 1 ? (previous ?? undefined) : undefined }
}
