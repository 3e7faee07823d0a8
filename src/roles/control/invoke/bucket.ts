/** Token buckets in memory, one per subject, refilled continuously (control-api §9.1). */
import { LRUCache } from 'lru-cache'

interface Bucket {
  tokens: number
  at: number
}

const MAX_SUBJECTS = 10_000

/** Answers how many milliseconds `key` has to wait, 0 = it may go on; `clock` in milliseconds. */
export function createBuckets(
  capacity: number,
  windowMs: number,
  clock: () => number = () => performance.now(),
): (key: string) => number {
  const buckets = new LRUCache<string, Bucket>({ max: MAX_SUBJECTS })
  return (key) => {
    const now = clock()
    const bucket = buckets.get(key) ?? { tokens: capacity, at: now }
    bucket.tokens = Math.min(capacity, bucket.tokens + ((now - bucket.at) * capacity) / windowMs)
    bucket.at = now
    buckets.set(key, bucket)
    if (bucket.tokens < 1) return ((1 - bucket.tokens) * windowMs) / capacity
    bucket.tokens -= 1
    return 0
  }
}
