/**
 * Grows a zone's tree over the links its chain gained and signs the new head. Each link is verified
 * before it becomes a leaf: what was tampered with is never vouched for. One transaction under the
 * tree's lock; so many links at most a time, so a long backlog comes in steps.
 */
import type { Tx } from '../../../platform/db/port.ts'
import type { Signer } from '../../../platform/jose/compact.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { contentHash } from '../canonical.ts'
import {
  blockLeaves,
  insertHead,
  newestHead,
  readBlockRoots,
  readLeaves,
  type TreeHeadRow,
  writeBlock,
} from '../store/tree.ts'
import { hurried, readHead, unhurried, walkChain } from '../store/walk-chain.ts'
import { hmacHolds } from '../verify/verify-chain.ts'
import { hashBytes, leafHash, rootOf } from './merkle.ts'
import { leafData, type TreeHead } from './receipt-format.ts'

/** How far one transaction takes a tree. It never rests in between: it holds the tree's lock. */
export interface GrowthStep {
  readonly maxLinks: number
  readonly pageSize: number
}

/** For somebody who waits for it. */
export const longStep: GrowthStep = { maxLinks: 50 * blockLeaves, pageSize: hurried.pageSize }
/** In the background. */
export const shortStep: GrowthStep = { maxLinks: blockLeaves, pageSize: unhurried.pageSize }

/** A link that does not verify, or is not there: the tree ends before it. */
export class ChainNotSound extends Error {
  override readonly name = 'ChainNotSound'
}

/** The head after growing; the newest as it is when the chain gained nothing. Null for an empty chain. */
export async function growTree(
  tx: Tx,
  key: HmacKey,
  signer: Signer,
  zoneId: string,
  { maxLinks, pageSize }: GrowthStep,
): Promise<TreeHeadRow | null> {
  const grown = await newestHead(tx, zoneId)
  const from = grown?.treeSize ?? 0
  const to = Math.min((await readHead(tx, zoneId))?.chainSeq ?? 0, from + maxLinks)
  if (to <= from) return grown

  let block = Math.floor(from / blockLeaves)
  const roots = await readBlockRoots(tx, zoneId, block)
  let leaves = splitLeaves(
    (await readLeaves(tx, zoneId, block)).subarray(0, (from % blockLeaves) * hashBytes),
  )
  let previous = grown?.chainSha256 ?? null
  let seq = from
  const store = async () => {
    const root = rootOf(leaves)
    await writeBlock(tx, zoneId, block, Buffer.concat(leaves), root)
    roots.push(root)
  }
  for await (const link of walkChain(tx, zoneId, from + 1, to, { pageSize, rest: 0 })) {
    seq += 1
    const sound =
      link.chainSeq === seq &&
      link.prevContentSha256 === previous &&
      contentHash(link.form) === link.contentSha256 &&
      hmacHolds(key, link)
    if (!sound) throw new ChainNotSound(`link ${seq} of zone ${zoneId} does not verify`)
    previous = link.contentSha256
    leaves.push(
      leafHash(
        leafData(zoneId, {
          chain_seq: link.chainSeq,
          content_sha256: link.contentSha256,
          prev_content_sha256: link.prevContentSha256,
        }),
      ),
    )
    if (leaves.length < blockLeaves) continue
    await store()
    block += 1
    leaves = []
  }
  if (seq !== to || previous === null) throw new ChainNotSound(`link ${seq + 1} of zone ${zoneId} is missing`)
  if (leaves.length > 0) await store()

  const claims: TreeHead = {
    zone_id: zoneId,
    tree_size: to,
    root_sha256: rootOf(roots).toString('hex'),
    chain_sha256: previous,
    signed_at: new Date().toISOString(),
  }
  const head: TreeHeadRow = {
    treeSize: to,
    rootSha256: claims.root_sha256,
    chainSha256: previous,
    statement: signer.sign({ ...claims }),
  }
  await insertHead(tx, zoneId, head, claims.signed_at)
  return head
}

export function splitLeaves(bytes: Buffer): Buffer[] {
  const leaves: Buffer[] = []
  for (let at = 0; at < bytes.length; at += hashBytes) leaves.push(bytes.subarray(at, at + hashBytes))
  return leaves
}
