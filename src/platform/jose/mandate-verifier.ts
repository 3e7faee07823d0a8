/**
 * "Signed by this zone": finds the key a token names within the zone it claims and
 * checks the signature. Nothing more; issuer, audience, use, times and liveness are the
 * caller's checks. Because keys are looked up inside the claimed zone only, a zone can
 * never vouch for another.
 */

import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { idPattern } from '../ids.ts'
import { type Claims, type ParsedJws, parseCompact, verifySignature } from './compact.ts'
import type { KeySet } from './key-set.ts'

export type Verification =
  | { readonly ok: true; readonly claims: Claims }
  | {
      readonly ok: false
      readonly reason: 'malformed' | 'zone_missing' | 'key_unknown' | 'signature_invalid'
    }

export interface MandateVerifier {
  /** Rejects only when the zone's keys cannot be known; see `KeySet.find`. */
  verify(token: string): Promise<Verification>
  /** As `verify` for a token that is parsed already. */
  verifyParsed(jws: ParsedJws, token: string): Promise<Verification>
  /** Forgets remembered verifications; call it together with `KeySet.flush`. */
  flush(): void
}

export interface MandateVerifierOptions {
  readonly keys: KeySet
  /** Verified tokens to remember, each for a minute; 0 remembers none (right for one-use mandates). */
  readonly remember?: number
}

const rememberMs = 60_000

/** A verifier over one key set. A remembered verification saves the signature check only, never a liveness check. */
export function createMandateVerifier(options: MandateVerifierOptions): MandateVerifier {
  const remembered = options.remember
    ? new LRUCache<string, Verification>({ max: options.remember, ttl: rememberMs })
    : null

  async function verifyParsed(jws: ParsedJws, token: string): Promise<Verification> {
    const zoneId = jws.claims.zone_id
    if (typeof zoneId !== 'string' || !idPattern.test(zoneId)) return { ok: false, reason: 'zone_missing' }
    const digest = remembered ? hash('sha256', token, 'base64') : ''
    const known = remembered?.get(digest)
    if (known) return known
    const key = options.keys.peek(zoneId, jws.header.kid) ?? (await options.keys.find(zoneId, jws.header.kid))
    if (key === null) return { ok: false, reason: 'key_unknown' }
    if (!verifySignature(jws, key)) return { ok: false, reason: 'signature_invalid' }
    const verification: Verification = { ok: true, claims: jws.claims }
    remembered?.set(digest, verification)
    return verification
  }

  return {
    async verify(token) {
      const jws = parseCompact(token)
      return jws === null ? { ok: false, reason: 'malformed' } : verifyParsed(jws, token)
    },
    verifyParsed,
    flush: () => remembered?.clear(),
  }
}
