/** Verifies an external id_token against a trusted issuer of the zone (sts §5.6 steps 2–5). */
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import type { Database } from '../../../platform/db/port.ts'
import { findSubjectIssuer } from '../store/subject-issuers.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import { subjectProblem } from './subject.ts'

/** Why a token was not accepted; goes to the audit, never to the caller. */
export class FederationRejected extends Error {
  override readonly name = 'FederationRejected'
}

export interface FederatedSubject {
  readonly issuer: string
  /** Verbatim. */
  readonly sub: string
}

const algorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512']
const toleranceSeconds = 60

export interface IdTokenDeps {
  readonly db: Database
  readonly keys: IssuerKeys
}

/** Rejects with `FederationRejected`; any other rejection means the store cannot be asked. */
export async function verifyIdToken(
  token: string,
  zoneId: string,
  now: number,
  deps: IdTokenDeps,
): Promise<FederatedSubject> {
  const { iss, kid } = peek(token)
  const issuer = await findSubjectIssuer(deps.db, zoneId, iss)
  if (issuer === null) throw new FederationRejected('issuer_not_trusted')
  const keys = await deps.keys.find(issuer, kid).catch(() => {
    throw new FederationRejected('issuer_keys_unavailable')
  })
  // Two keys may share a kid; the one of the token's own algorithm is picked by jose.
  const candidates = keys.filter((key) => key.kid === kid)
  if (candidates.length === 0) throw new FederationRejected('kid_unknown')
  const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: [...candidates] }), {
    algorithms,
    issuer: issuer.issuer,
    audience: issuer.audience,
    requiredClaims: ['exp'],
    clockTolerance: toleranceSeconds,
    currentDate: new Date(now),
  }).catch(() => {
    throw new FederationRejected('token_invalid')
  })
  if (payload.iat !== undefined && payload.iat - toleranceSeconds > now / 1000) {
    throw new FederationRejected('issued_in_the_future')
  }
  const problem = subjectProblem(payload.sub)
  if (problem !== null) throw new FederationRejected(problem)
  return { issuer: issuer.issuer, sub: payload.sub as string }
}

function peek(token: string): { iss: string; kid: string } {
  try {
    const { iss } = decodeJwt(token)
    const { kid } = decodeProtectedHeader(token)
    const named = typeof iss === 'string' && iss !== '' && !iss.includes('\0')
    if (named && typeof kid === 'string' && kid !== '') return { iss, kid }
  } catch {
    throw new FederationRejected('token_malformed')
  }
  throw new FederationRejected('issuer_or_kid_missing')
}
