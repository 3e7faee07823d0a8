/** The verify engine: claims, then revocation, as one answer (sdk-cli-console §9.2). */
import { extractBearer } from '../sdk/envelope.ts'
import { type AuthError, authError } from './auth-error.ts'
import {
  ChainMismatchError,
  type Claims,
  DelegationRequiredError,
  HopCountExceededError,
  type Requirements,
  ScopeInsufficientError,
  SessionRequiredError,
  type VerifyOptions,
  verify,
  ZoneInvalidError,
} from './claims.ts'
import { createJwksCache } from './jwks-cache.ts'
import type { RevocationStore } from './revocation-store.ts'

export interface VerifierOptions extends VerifyOptions {
  readonly revocations: RevocationStore
}

export type AuthResult =
  | { readonly ok: true; readonly principal: Claims }
  | { readonly ok: false; readonly error: AuthError }

export interface MandateVerifier {
  readonly defaults: VerifierOptions
  /** Never rejects. Issuer, audience, zone and store are those of the verifier, whatever `overrides` holds. */
  authenticate(token: string, overrides?: Requirements): Promise<AuthResult>
  /** As `authenticate`, from an `Authorization` header. */
  authorization(header: string | null | undefined, overrides?: Requirements): Promise<AuthResult>
  /** A verifier with more requirements. */
  require(overrides: Requirements): MandateVerifier
  /** Fetches the zone's keys, so that the first request does not wait for them. */
  warmup(): Promise<void>
}

export function createMandateVerifier(options: VerifierOptions): MandateVerifier {
  const defaults: VerifierOptions = {
    requiredUse: 'resource',
    ...options,
    jwksCache: options.jwksCache ?? createJwksCache(),
  }
  const authenticate = async (token: string, overrides?: Requirements): Promise<AuthResult> => {
    if (!token) return { ok: false, error: authError('missing_token') }
    try {
      const principal = await verify(token, { ...defaults, ...requirementsOf(overrides) })
      const error = await checkActiveAuthority(principal, defaults.revocations)
      return error === null ? { ok: true, principal } : { ok: false, error }
    } catch (error) {
      return { ok: false, error: authErrorOf(error) }
    }
  }
  return {
    defaults,
    authenticate,
    authorization: (header, overrides) => authenticate(extractBearer(header) ?? '', overrides),
    require: (overrides) => createMandateVerifier({ ...defaults, ...requirementsOf(overrides) }),
    async warmup() {
      await defaults.jwksCache?.keys(defaults.issuer, defaults.zoneId)
    },
  }
}

/** What is wrong with verified claims now: expiry, revocation, a changed delegation graph; null when nothing. */
export async function checkActiveAuthority(
  claims: Claims,
  store: RevocationStore | undefined,
  nowMs = Date.now(),
): Promise<AuthError | null> {
  if (store === undefined) return authError('invalid_token', 'Revocation store required')
  if (claims.expiresAt * 1000 <= nowMs) return authError('invalid_token', 'Token expired during execution')
  const anchors = new Set(
    [claims.authorityRecordId, claims.rootAuthorityRecordId, claims.sessionId, claims.delegationId].filter(
      (id): id is string => id !== undefined && id !== '',
    ),
  )
  try {
    const revoked = await Promise.all([...anchors].map((id) => store.isRevoked(id)))
    if (revoked.includes(true)) return authError('session_revoked')
    if (claims.graphEpoch === undefined || store.currentDelegationEpoch === undefined) return null
    const epoch = await store.currentDelegationEpoch(claims.zoneId)
    return claims.graphEpoch < epoch ? authError('delegation_stale') : null
  } catch (error) {
    // A store that cannot answer has not said that the mandate is good.
    return { ...authError('session_revoked'), cause: error }
  }
}

const requirementNames = [
  'requiredScopes',
  'requiredTargets',
  'requiredUse',
  'requireSession',
  'requireDelegation',
  'requireChainContains',
  'maxHopCount',
] as const satisfies readonly (keyof Requirements)[]

/** Only requirements: an override can never change whom the verifier trusts. */
function requirementsOf(overrides: Requirements | undefined): Requirements {
  const given = requirementNames.flatMap((name) => {
    const value = overrides?.[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return Object.fromEntries(given)
}

function authErrorOf(error: unknown): AuthError {
  if (error instanceof ZoneInvalidError) return authError('invalid_zone')
  if (error instanceof ScopeInsufficientError) return authError('insufficient_scope', error.message)
  if (error instanceof SessionRequiredError) return authError('session_required')
  if (error instanceof DelegationRequiredError) return authError('delegation_required')
  if (error instanceof HopCountExceededError) return authError('hop_count_exceeded')
  if (error instanceof ChainMismatchError) return authError('chain_mismatch', error.message)
  return { ...authError('invalid_token'), cause: error }
}
