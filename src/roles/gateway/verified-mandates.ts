/**
 * Mandates whose signature this process has already checked, by digest. It makes a
 * repeated presentation cheap to refuse; it never makes one acceptable, because the
 * replay and revocation checks run every time. Dropped when keys change.
 */
import { LRUCache } from 'lru-cache'
import type { MandateClaims } from './mandate.ts'

export interface VerifiedMandates {
  get(digest: string): MandateClaims | undefined
  /** Remembers verified claims until the mandate expires, one minute at most. */
  add(digest: string, claims: MandateClaims): void
  clear(): void
}

const lifeMs = 60_000

export function createVerifiedMandates(now: () => number = Date.now): VerifiedMandates {
  const cache = new LRUCache<string, MandateClaims>({ max: 20_000, ttl: lifeMs })
  return {
    get: (digest) => cache.get(digest),
    add(digest, claims) {
      const ttl = Math.min(lifeMs, claims.exp * 1000 - now())
      if (ttl > 0) cache.set(digest, claims, { ttl })
    },
    clear: () => cache.clear(),
  }
}
