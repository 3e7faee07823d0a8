/**
 * The presented mandate, parsed once. Until the signature check every claim is an
 * unverified peek and nothing but a denial may depend on it (gateway §5).
 */

import { hash } from 'node:crypto'
import { type Claims, decodeBase64url, type ParsedJws, parseCompact } from '../../platform/jose/compact.ts'
import { parseJsonObject } from '../../platform/json.ts'

/** What the gateway reads of the payload; everything else is the STS's business. */
export interface MandateClaims extends Claims {
  /** Unix seconds. */
  readonly exp: number
}

export interface Mandate {
  readonly token: string
  /** SHA-256 of the token text: cache key; its first 16 hex characters are the fingerprint of logs and audit. */
  readonly digest: string
  readonly claims: MandateClaims
  /** `null` when the token is not a strict ES256 JWS; the signature check refuses it then. */
  readonly jws: ParsedJws | null
}

export const digestOf = (token: string): string => hash('sha256', token, 'hex')

export const fingerprintOf = (digest: string): string => digest.slice(0, 16)

/** `null` when the token is not three parts with a base64url JSON object that has an integer `exp` ≠ 0. */
export function parseMandate(token: string, digest: string): Mandate | null {
  const jws = parseCompact(token)
  const claims = jws?.claims ?? peekClaims(token)
  if (claims === null) return null
  const exp = claims.exp
  return Number.isSafeInteger(exp) && exp !== 0
    ? { token, digest, claims: claims as MandateClaims, jws }
    : null
}

/** The payload of something that has the shape of a JWS but may not be one we verify. */
function peekClaims(token: string): Claims | null {
  const parts = token.split('.')
  const payload = parts.length === 3 ? decodeBase64url(parts[1] as string) : null
  return payload === null ? null : parseJsonObject(payload.toString('utf8'))
}

/** A claim that must be a string; everything else counts as absent. */
export const textClaim = (claims: MandateClaims, name: string): string => {
  const value = claims[name]
  return typeof value === 'string' ? value : ''
}
