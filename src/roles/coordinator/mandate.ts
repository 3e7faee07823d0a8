/** What a mandate shown to the coordinator must be, whatever it is shown for (coordinator §2.2, §14.1). */
import { idPattern } from '../../platform/ids.ts'
import { type Claims, parseCompact } from '../../platform/jose/compact.ts'
import type { MandateVerifier } from '../../platform/jose/mandate-verifier.ts'

const leewaySeconds = 60

export interface MandateRules {
  readonly verifier: MandateVerifier
  readonly issuer: string
}

export interface Mandate {
  readonly claims: Claims
  readonly zoneId: string
  readonly subject: string
}

/**
 * The claims of a mandate that `issuer` issued for `issuer` and that is valid now, or null. With
 * `zoneId` the mandate must claim that zone, and no other zone's keys are looked up.
 * Rejects when the zone's keys cannot be known: with `KeySetUnavailable` where the STS of another process
 * cannot be asked, with the failure of the store where they are read from it.
 */
export async function readMandate(
  { verifier, issuer }: MandateRules,
  token: string,
  zoneId: string | null = null,
): Promise<Mandate | null> {
  const jws = parseCompact(token)
  if (jws === null || (zoneId !== null && jws.claims.zone_id !== zoneId)) return null
  const verified = await verifier.verifyParsed(jws, token)
  if (!verified.ok) return null
  const { claims } = verified
  const { zone_id: claimedZone, sub: subject, iss, aud, exp, nbf } = claims
  const now = Math.floor(Date.now() / 1000)
  if (typeof claimedZone !== 'string' || !idPattern.test(claimedZone)) return null
  if (iss !== issuer || !(Array.isArray(aud) ? aud.includes(issuer) : aud === issuer)) return null
  if (typeof exp !== 'number' || exp + leewaySeconds <= now) return null
  if (nbf !== undefined && (typeof nbf !== 'number' || nbf - leewaySeconds > now)) return null
  if (typeof subject !== 'string' || subject === '') return null
  return { claims, zoneId: claimedZone, subject }
}

/** As `readMandate`, for session mandates only: gateway and resource mandates are no credential here. */
export async function readSessionMandate(
  rules: MandateRules,
  token: string,
  zoneId: string | null = null,
): Promise<Mandate | null> {
  const mandate = await readMandate(rules, token, zoneId)
  return mandate?.claims.use === 'session' ? mandate : null
}

/** A non-empty string claim, or null. */
export function textClaim(claims: Claims, name: string): string | null {
  const value = claims[name]
  return typeof value === 'string' && value !== '' ? value : null
}
