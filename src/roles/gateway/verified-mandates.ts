/**
 * Mandates whose signature this process has already checked, by digest. It makes a
 * repeated presentation cheap to refuse; it never makes one acceptable, because the
 * replay and revocation checks run every time. Dropped when keys change.
 */
import type { MandateClaims } from './mandate.ts'

export interface VerifiedMandates {
  get(digest: string): MandateClaims | undefined
  /** Remembers verified claims for half a minute to a minute, never past the mandate's expiry. */
  add(digest: string, claims: MandateClaims): void
  clear(): void
}

const generationMs = 30_000
const maxInGeneration = 10_000

/**
 * Two generations, of which the older is let go as a whole: what is remembered is bounded in time
 * as well as in number, and nothing looks for single entries that are too old.
 */
export function createVerifiedMandates(now: () => number = Date.now): VerifiedMandates {
  let young = new Map<string, MandateClaims>()
  let old = new Map<string, MandateClaims>()
  let bornAt = now()

  function age(): void {
    const lived = now() - bornAt
    // A clock that was set back must not make anything last.
    if (lived >= 0 && lived < generationMs && young.size < maxInGeneration) return
    old = lived >= 0 && lived < 2 * generationMs ? young : new Map()
    young = new Map()
    bornAt = now()
  }

  return {
    get(digest) {
      age()
      const claims = young.get(digest) ?? old.get(digest)
      return claims === undefined || claims.exp * 1000 <= now() ? undefined : claims
    },
    add(digest, claims) {
      age()
      young.set(digest, claims)
    },
    clear() {
      young = new Map()
      old = new Map()
    },
  }
}
