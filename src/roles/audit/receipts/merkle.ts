/**
 * The Merkle tree of RFC 6962 §2.1 over leaf hashes: domain-separated SHA-256, an unbalanced tree split at
 * the largest power of two below the size. Pure; positions count from 0.
 */
import { hash } from 'node:crypto'

export const hashBytes = 32

/** `SHA-256(0x00 || data)` */
export function leafHash(data: string): Buffer {
  return hash('sha256', Buffer.concat([Buffer.from([0]), Buffer.from(data, 'utf8')]), 'buffer')
}

function nodeHash(left: Buffer, right: Buffer): Buffer {
  return hash('sha256', Buffer.concat([Buffer.from([1]), left, right]), 'buffer')
}

/** Root over at least one leaf. */
export function rootOf(leaves: readonly Buffer[]): Buffer {
  let level: readonly Buffer[] = leaves
  // Pairing level by level and carrying an odd one up gives the same tree as the recursive split.
  while (level.length > 1) {
    const next: Buffer[] = []
    for (let at = 0; at < level.length; at += 2) {
      const [left, right] = [level[at] as Buffer, level[at + 1]]
      next.push(right === undefined ? left : nodeHash(left, right))
    }
    level = next
  }
  const [root] = level
  if (root === undefined) throw new RangeError('a tree needs a leaf')
  return root
}

/** Siblings from the leaf up to the root. */
export function pathOf(leaves: readonly Buffer[], index: number): Buffer[] {
  const path: Buffer[] = []
  let level: readonly Buffer[] = leaves
  let position = index
  while (level.length > 1) {
    const sibling = level[position ^ 1]
    if (sibling !== undefined) path.push(sibling)
    const next: Buffer[] = []
    for (let at = 0; at < level.length; at += 2) {
      const [left, right] = [level[at] as Buffer, level[at + 1]]
      next.push(right === undefined ? left : nodeHash(left, right))
    }
    level = next
    position >>= 1
  }
  return path
}

/** The root a leaf and its path lead to in a tree of `size`, or null when the path has the wrong length (RFC 9162 §2.1.3.2). */
export function rootFromPath(
  leaf: Buffer,
  index: number,
  size: number,
  path: readonly Buffer[],
): Buffer | null {
  let position = index
  let last = size - 1
  let at = leaf
  for (const sibling of path) {
    // A node without a sibling is carried up unchanged.
    while (position === last && position % 2 === 0 && last > 0) {
      position = Math.floor(position / 2)
      last = Math.floor(last / 2)
    }
    if (last === 0) return null
    at = position % 2 === 1 ? nodeHash(sibling, at) : nodeHash(at, sibling)
    position = Math.floor(position / 2)
    last = Math.floor(last / 2)
  }
  while (position === last && position % 2 === 0 && last > 0) {
    position = Math.floor(position / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 ? at : null
}
