/**
 * The mint rate limit (sts §11): a fixed minute per zone, resource and application.
 * The ceiling is the environment's; an operator may only lower it, in a row that is
 * read again every 30 s.
 */
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

export function createMintLimit(ephemera: Ephemera, ceiling: number): MintLimit {
  let limit = ceiling
  return {
    perMinute: () => limit,
    override(limitPerMinute) {
      limit = limitPerMinute === null ? ceiling : Math.min(ceiling, limitPerMinute)
    },
    async count(keys) {
      try {
        return await Promise.all(keys.map((key) => ephemera.increment(key, windowMs)))
      } catch (error) {
        throw unavailable('rate counters are unavailable', error)
      }
    },
  }
}
