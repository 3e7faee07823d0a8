/** Checks that every session mandate shown to the coordinator must pass (coordinator §2.2, steps 1–4). */
import type { Claims } from '../../platform/jose/compact.ts'
import type { MandateVerifier } from '../../platform/jose/mandate-verifier.ts'

const leewaySeconds = 60
const identifier = /^[A-Za-z0-9_.\-:]{1,128}$/

export interface SessionMandate {
  readonly claims: Claims
  readonly zoneId: string
  readonly subject: string
}

/**
 * The claims of a valid session mandate issued by `issuer` for `issuer`, or null.
 * Rejects with `KeySetUnavailable` when the zone's keys cannot be known.
 */
export async function readSessionMandate(
  verifier: MandateVerifier,
  issuer: string,
  token: string,
  nowSeconds: number,
): Promise<SessionMandate | null> {
  const verified = await verifier.verify(token)
  if (!verified.ok) return null
  const { claims } = verified
  const { zone_id: zoneId, sub: subject, iss, aud, exp, nbf, use } = claims
  if (typeof zoneId !== 'string' || !identifier.test(zoneId)) return null
  if (iss !== issuer || !(Array.isArray(aud) ? aud.includes(issuer) : aud === issuer)) return null
  if (typeof exp !== 'number' || exp + leewaySeconds <= nowSeconds) return null
  if (nbf !== undefined && (typeof nbf !== 'number' || nbf - leewaySeconds > nowSeconds)) return null
  if (use !== 'session' || typeof subject !== 'string' || subject === '') return null
  return { claims, zoneId, subject }
}

/** A non-empty string claim, or null. */
export function textClaim(claims: Claims, name: string): string | null {
  const value = claims[name]
  return typeof value === 'string' && value !== '' ? value : null
}
