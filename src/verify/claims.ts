/** Signature and claims of a mandate, in the order of sdk-cli-console §9.1. */
import { type JWTPayload, errors as joseErrors, jwtVerify } from 'jose'
import { createJwksCache, type JwksCache } from './jwks-cache.ts'

export interface ChainHop {
  readonly applicationId: string
  readonly sessionId?: string | undefined
  readonly delegationId?: string | undefined
}

/** A verified mandate under public names. */
export interface Claims {
  readonly sub: string
  readonly zoneId: string
  readonly clientId: string
  readonly authorityRecordId: string
  readonly rootAuthorityRecordId: string
  readonly use: 'session' | 'resource'
  readonly subType: 'user' | 'application'
  readonly jti: string
  /** Epoch seconds, as `expiresAt`. */
  readonly issuedAt: number
  readonly expiresAt: number
  readonly scope: string
  readonly targetResources?: readonly string[] | undefined
  readonly sessionId?: string | undefined
  readonly delegationId?: string | undefined
  readonly sourceSessionId?: string | undefined
  readonly targetSessionId?: string | undefined
  readonly delegationPath?: readonly string[] | undefined
  readonly delegationChain?: readonly ChainHop[] | undefined
  readonly graphEpoch?: number | undefined
  readonly hopCount?: number | undefined
}

export interface Requirements {
  readonly requiredScopes?: readonly string[] | undefined
  readonly requiredTargets?: readonly string[] | undefined
  readonly requiredUse?: 'session' | 'resource' | undefined
  readonly requireSession?: boolean | undefined
  readonly requireDelegation?: boolean | undefined
  readonly requireChainContains?: readonly string[] | undefined
  /** Default 10. */
  readonly maxHopCount?: number | undefined
}

export interface VerifyOptions extends Requirements {
  readonly issuer: string
  /** The resource's identifier. */
  readonly audience: string | readonly string[]
  /** The trust anchor: its keys verify, and the mandate must be of it. */
  readonly zoneId: string
  readonly jwksCache?: JwksCache | undefined
}

export class TokenInvalidError extends Error {
  override readonly name = 'TokenInvalidError'
}
export class ZoneInvalidError extends Error {
  override readonly name = 'ZoneInvalidError'
}
export class ScopeInsufficientError extends Error {
  override readonly name = 'ScopeInsufficientError'
  readonly scope: string
  constructor(scope: string) {
    super(`Missing scope: ${scope}`)
    this.scope = scope
  }
}
export class SessionRequiredError extends Error {
  override readonly name = 'SessionRequiredError'
}
export class DelegationRequiredError extends Error {
  override readonly name = 'DelegationRequiredError'
}
export class HopCountExceededError extends Error {
  override readonly name = 'HopCountExceededError'
}
export class ChainMismatchError extends Error {
  override readonly name = 'ChainMismatchError'
  readonly applicationId: string
  constructor(applicationId: string) {
    super(`Delegation chain missing application: ${applicationId}`)
    this.applicationId = applicationId
  }
}

const required = ['exp', 'iat', 'jti', 'sub', 'client_id', 'sid', 'root_sid', 'use', 'sub_type']
const clockTolerance = 60
const defaultMaxHops = 10
const longestToken = 8192

let sharedCache: JwksCache | null = null

/** The claims of `token`. Throws one of the classes above; revocation is not asked here. */
export async function verify(token: string, options: VerifyOptions): Promise<Claims> {
  if (!options.zoneId) throw new ZoneInvalidError('no zone is configured')
  if (token.length > longestToken) throw new TokenInvalidError('the token is too long')
  const claims = readClaims(await verifiedPayload(token, options))
  if (claims.zoneId !== options.zoneId) throw new ZoneInvalidError('the mandate is of another zone')
  requireClaims(claims, options)
  return claims
}

async function verifiedPayload(token: string, options: VerifyOptions): Promise<JWTPayload> {
  sharedCache ??= createJwksCache()
  const cache = options.jwksCache ?? sharedCache
  const { issuer, zoneId, audience } = options
  const attempt = async (unknownKey: boolean) => {
    const lookup = await cache.keys(issuer, zoneId, { unknownKey })
    const { payload } = await jwtVerify(token, lookup, {
      algorithms: ['ES256'],
      issuer,
      audience: [audience].flat(),
      clockTolerance,
      requiredClaims: required,
    })
    return payload
  }
  try {
    try {
      return await attempt(false)
    } catch (error) {
      if (!(error instanceof joseErrors.JWKSNoMatchingKey)) throw error
      return await attempt(true)
    }
  } catch (error) {
    throw new TokenInvalidError('the token is not valid', { cause: error })
  }
}

function readClaims(payload: JWTPayload): Claims {
  const { use, sub_type: subType, target } = payload
  if (use !== 'session' && use !== 'resource')
    throw new TokenInvalidError('the use of the mandate is another')
  if (subType !== 'user' && subType !== 'application') throw new TokenInvalidError('sub_type is unknown')
  if (target !== undefined && !isTextList(target))
    throw new TokenInvalidError('target is not a list of texts')
  const chain = payload.delegation_chain
  const path = payload.delegation_path
  return {
    sub: text(payload, 'sub'),
    zoneId: optionalText(payload, 'zone_id') ?? '',
    clientId: text(payload, 'client_id'),
    authorityRecordId: text(payload, 'sid'),
    rootAuthorityRecordId: text(payload, 'root_sid'),
    use,
    subType,
    jti: text(payload, 'jti'),
    issuedAt: payload.iat ?? 0,
    expiresAt: payload.exp ?? 0,
    scope: optionalText(payload, 'scope') ?? '',
    targetResources: target as string[] | undefined,
    sessionId: optionalText(payload, 'agent_session_id'),
    delegationId: optionalText(payload, 'delegation_edge_id'),
    sourceSessionId: optionalText(payload, 'source_session_id'),
    targetSessionId: optionalText(payload, 'target_session_id'),
    delegationPath: path === undefined ? undefined : isTextList(path) ? path : invalid('delegation_path'),
    delegationChain: chain === undefined ? undefined : chainOf(chain),
    graphEpoch: optionalCount(payload, 'delegation_graph_epoch'),
    hopCount: optionalCount(payload, 'hop_count'),
  }
}

function requireClaims(claims: Claims, options: Requirements): void {
  if (options.requiredUse !== undefined && claims.use !== options.requiredUse)
    throw new TokenInvalidError(`a ${options.requiredUse} mandate is required`)
  const scopes = new Set(claims.scope.split(' '))
  const missing = options.requiredScopes?.find((scope) => !scopes.has(scope))
  if (missing !== undefined) throw new ScopeInsufficientError(missing)
  if (options.requiredTargets?.some((target) => !claims.targetResources?.includes(target)))
    throw new TokenInvalidError('a required target is missing')
  if (options.requireSession === true && claims.sessionId === undefined)
    throw new SessionRequiredError('Session required')
  if (options.requireDelegation === true && claims.delegationId === undefined)
    throw new DelegationRequiredError('Delegation required')
  const most =
    options.maxHopCount === undefined || options.maxHopCount <= 0 ? defaultMaxHops : options.maxHopCount
  if ((claims.hopCount ?? 0) > most) throw new HopCountExceededError('Hop count exceeded')
  const inChain = new Set(claims.delegationChain?.map(({ applicationId }) => applicationId))
  const absent = options.requireChainContains?.find((id) => !inChain.has(id))
  if (absent !== undefined) throw new ChainMismatchError(absent)
}

function chainOf(value: unknown): ChainHop[] {
  if (!Array.isArray(value)) return invalid('delegation_chain')
  return value.map((hop: unknown) => {
    if (typeof hop !== 'object' || hop === null) return invalid('delegation_chain')
    const members = hop as Record<string, unknown>
    return {
      applicationId: text(members, 'application_id'),
      sessionId: optionalText(members, 'agent_session_id'),
      delegationId: optionalText(members, 'delegation_edge_id'),
    }
  })
}

type Members = Readonly<Record<string, unknown>>

function text(members: Members, name: string): string {
  return optionalText(members, name) ?? invalid(name)
}

function optionalText(members: Members, name: string): string | undefined {
  const value = members[name]
  if (value === undefined || value === '') return undefined
  return typeof value === 'string' ? value : invalid(name)
}

function optionalCount(members: Members, name: string): number | undefined {
  const value = members[name]
  if (value === undefined) return undefined
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : invalid(name)
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function invalid(name: string): never {
  throw new TokenInvalidError(`the claim ${name} is missing or malformed`)
}
