/**
 * How many live receipts a scope held when it was last counted. Counting reads every one of them, thousands in
 * a scope that is used, so a scope far below its limit is counted once a second, and not for each new key.
 * Within the process the limit is exact all the same, since its own receipts are added; other processes would
 * have to store as many as the margin within that second to pass it.
 */
import { LRUCache } from 'lru-cache'
import type { ReceiptScope } from './store/receipts.ts'

export interface ReceiptCounts {
  /** Live receipts of the scope at most; null when they must be counted. */
  known(scope: ReceiptScope, limit: number): number | null
  counted(scope: ReceiptScope, live: number): void
  /** Receipts that were stored since. */
  added(scope: ReceiptScope, receipts: number): void
}

const margin = 2000
const validMs = 1000
const mostScopes = 4096

export function createReceiptCounts(): ReceiptCounts {
  const counts = new LRUCache<string, { live: number }>({ max: mostScopes, ttl: validMs })
  return {
    known(scope, limit) {
      const count = counts.get(nameOf(scope))
      return count === undefined || count.live > limit - margin ? null : count.live
    },
    counted(scope, live) {
      counts.set(nameOf(scope), { live })
    },
    added(scope, receipts) {
      const count = counts.get(nameOf(scope))
      if (count !== undefined) count.live += receipts
    },
  }
}

const nameOf = ({ operation, zoneId, scopeId }: ReceiptScope): string => `${operation}:${zoneId}:${scopeId}`
