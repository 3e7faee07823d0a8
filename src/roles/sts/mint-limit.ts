/**
 * The mint rate limit (sts §11): a fixed minute per zone, resource and application.
 * The ceiling is the environment's; an operator may only lower it, in a row that is
 * read again every 30 s.
 */
import { LRUCache } from 'lru-cache'
import type { Counter, Ephemera } from '../../platform/ephemera/port.ts'
import { unavailable } from './refusal.ts'

const windowMs = 60_000

export interface MintLimit {
  perMinute(): number
  /** Takes the operator's lower limit, `null` when there is none. */
  override(limitPerMinute: number | null): void
  /** Counts one use of each key. Rejects with 503 `sts_unavailable`. */
  count(keys: readonly string[]): Promise<readonly Counter[]>
}

export function mintKey(zoneId: string, resourceId: string, applicationId: string): string {
  return `rl:${zoneId}:${resourceId}:${applicationId}`
}

/**
 * While less than half of the limit is used, a process takes uses a hundredth of the limit at a time
 * (at most 100) and hands them out by itself. What it does not use of a block when the minute ends is
 * lost to the other processes, never granted twice.
 */
const largestBlock = 100

interface Block {
  /** The count the next use gets. */
  next: number
  readonly last: number
  /** On the monotonic clock. */
  readonly endsAt: number
}

export function createMintLimit(ephemera: Ephemera, ceiling: number): MintLimit {
  let limit = ceiling
  const blocks = new LRUCache<string, Promise<Block>>({ max: 10_000 })

  async function take(key: string, previous: Block | null): Promise<Block> {
    const half = previous !== null && previous.last * 2 >= limit
    const by = half ? 1 : Math.max(1, Math.min(largestBlock, Math.floor(limit / 100)))
    const { count, remainingMs } = await ephemera.increment(key, windowMs, by)
    return { next: count - by + 1, last: count, endsAt: performance.now() + remainingMs }
  }

  async function count(key: string): Promise<Counter> {
    for (;;) {
      const held = blocks.get(key)
      const block: Block | null = held === undefined ? null : await held
      const remainingMs = block === null ? 0 : Math.round(block.endsAt - performance.now())
      if (block !== null && remainingMs > 0 && block.next <= block.last) {
        const used = block.next
        block.next += 1
        return { count: used, remainingMs }
      }
      // Whoever finds the block used up first fetches the next one; the others wait for it.
      if (blocks.get(key) !== held) continue
      const taking = take(key, remainingMs > 0 ? block : null)
      blocks.set(key, taking)
      taking.catch(() => {
        if (blocks.get(key) === taking) blocks.delete(key)
      })
    }
  }

  return {
    perMinute: () => limit,
    override(limitPerMinute) {
      limit = limitPerMinute === null ? ceiling : Math.min(ceiling, limitPerMinute)
    },
    async count(keys) {
      try {
        return await Promise.all(keys.map(count))
      } catch (error) {
        throw unavailable('rate counters are unavailable', error)
      }
    },
  }
}
