/**
 * Verification of a mandate that is presented back to us (sts §5.2 E1): ES256 under
 * a verification key of the zone, issuer, audience, times by the database clock,
 * zone and class. One public answer for every failure.
 */
import { parseCompact, verifySignature } from '../../platform/jose/compact.ts'
import { invalidToken } from './refusal.ts'
import type { SigningKeys } from './signing-keys.ts'

const clockToleranceSeconds = 60

export interface MandateToVerify {
  readonly token: string
  /** Claims whose signature was checked in this process. */
  readonly verifiedClaims: Readonly<Record<string, unknown>> | null
  readonly zoneId: string
  readonly issuer: string
  /** Database clock, milliseconds. */
  readonly now: number
  readonly use: 'session' | 'gateway'
}

/** The claims. Rejects with 401 `invalid_token`, or 503 when keys cannot be read. */
export async function verifyMandate(
  mandate: MandateToVerify,
  keys: SigningKeys,
): Promise<Readonly<Record<string, unknown>>> {
  const claims = mandate.verifiedClaims ?? (await verifiedClaims(mandate, keys))
  const problem = claimProblem(claims, mandate)
  if (problem !== null) throw rejected(problem)
  return claims
}

async function verifiedClaims(mandate: MandateToVerify, keys: SigningKeys) {
  const jws = parseCompact(mandate.token)
  if (jws === null) throw rejected('not a compact ES256 token')
  const key = await keys.verificationKey(mandate.zoneId, jws.header.kid)
  if (key === null) throw rejected('kid is not a key of the zone')
  if (!verifySignature(jws, key)) throw rejected('signature does not match')
  return jws.claims
}

function claimProblem(claims: Readonly<Record<string, unknown>>, mandate: MandateToVerify): string | null {
  const nowSeconds = mandate.now / 1000
  if (claims.iss !== mandate.issuer) return 'issuer is not ours'
  const aud = claims.aud
  if (!(Array.isArray(aud) ? aud.includes(mandate.issuer) : aud === mandate.issuer)) {
    return 'audience is not the issuer'
  }
  const { exp, iat } = claims
  if (typeof exp !== 'number' || exp + clockToleranceSeconds <= nowSeconds) return 'expired'
  if (typeof iat !== 'number' || iat - clockToleranceSeconds > nowSeconds) return 'issued in the future'
  if (claims.zone_id !== mandate.zoneId) return 'other zone'
  if (claims.use !== mandate.use) return `use is not ${mandate.use}`
  return null
}

function rejected(detail: string) {
  return invalidToken('invalid subject_token', 401, { detail })
}
