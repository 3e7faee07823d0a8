/** What a request for a delegation asks for (coordinator §8.2), before anything of the graph is looked at. */
import { mayDelegateBroadly, mayDelegateFrom, type Recorded } from './caller.ts'
import { type Constraints, parseConstraints } from './constraints.ts'
import type { CoordinatorContext } from './deps.ts'
import { refuse } from './refusal.ts'
import { findEndpoints } from './store/sessions.ts'

export interface DelegateRequest extends Recorded {
  readonly sourceSessionId: string
  readonly targetSessionId: string
  /** Null only in the seed's body form: taken from the session. */
  readonly issuerApplicationId: string | null
  readonly receiverApplicationId: string | null
  readonly parentEdgeId: string | null
  /** Row id or public identifier. */
  readonly resourceId: string | null
  /** Null when none were sent. */
  readonly scopes: readonly string[] | null
  /** As sent; where two name the same member the later one wins. */
  readonly constraints: readonly unknown[]
  readonly expiresAt: string | null
  readonly ttlSeconds: number | null
  readonly seedForm: boolean
  readonly idempotencyKey: string | null
}

export interface Terms {
  readonly issuer: string
  readonly receiver: string
  readonly scopes: readonly string[]
  readonly constraints: Constraints
  readonly expiresAt: string | null
  readonly ttlSeconds: number | null
  readonly broad: boolean
}

/**
 * What the caller asks for, after defaults, and what it alone decides: constraints (400), expiry
 * (400), issuer (403), self (400), breadth (403). In the seed's form the applications are read first.
 */
export async function readTerms(deps: CoordinatorContext, request: DelegateRequest): Promise<Terms> {
  const { scopes, constraints } = readConstraints(request)
  const expiresAt = request.expiresAt ?? constraints.expires_at ?? null
  const ttlSeconds = expiresAt === null ? expiryTtl(deps, request, constraints) : null
  const { issuer, receiver } = await applicationsOf(deps, request)
  if (!mayDelegateFrom(request.caller, issuer)) throw refuse('issuer_ownership_required')
  if (request.sourceSessionId === request.targetSessionId) throw refuse('self_delegation_denied')
  const named = request.resourceId !== null || (constraints.resources ?? []).length > 0
  // The seed's bare edge conveys nothing, so it broadens nothing.
  const broad = !named && !(request.seedForm && scopes.length === 0)
  if (broad && !mayDelegateBroadly(request.caller, issuer))
    throw refuse('broad_delegation_permission_required')
  const annotated: Constraints = broad
    ? {
        ...constraints,
        broad_reason: constraints.broad_reason ?? 'resource_null_delegation',
        policy_approved: true,
      }
    : constraints
  return { issuer, receiver, scopes, constraints: annotated, expiresAt, ttlSeconds, broad }
}

/** Both members of the body merged, and the scopes the seed may carry there taken out: they never are a constraint. */
function readConstraints(request: DelegateRequest): { scopes: readonly string[]; constraints: Constraints } {
  const merged = Object.fromEntries(request.constraints.flatMap(membersOf))
  const { scopes: carried, ...rest } = merged
  const takesScopes = request.seedForm && request.scopes === null && isTextList(carried)
  const parsed = parseConstraints(takesScopes ? rest : merged)
  if (!parsed.ok) {
    const issue = { path: ['constraints', parsed.key], message: parsed.message }
    throw refuse(parsed.code, { body: { detail: `constraints.${parsed.key}`, details: { issues: [issue] } } })
  }
  const given = parsed.constraints
  const ttl = given.ttl_seconds ?? request.ttlSeconds
  return {
    scopes: takesScopes ? carried : (request.scopes ?? []),
    constraints: ttl === null ? given : { ...given, ttl_seconds: ttl },
  }
}

function membersOf(given: unknown): [string, unknown][] {
  if (given === null) return []
  if (typeof given !== 'object' || Array.isArray(given)) throw refuse('invalid_delegation_constraint')
  return Object.entries(given)
}

const isTextList = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')

function expiryTtl(deps: CoordinatorContext, request: DelegateRequest, constraints: Constraints): number {
  const ttl = request.ttlSeconds ?? constraints.ttl_seconds ?? null
  if (ttl !== null) return ttl
  if (request.seedForm) return deps.settings.DELEGATION_DEFAULT_TTL_SECONDS
  throw refuse('delegation_expiry_required')
}

async function applicationsOf(
  deps: CoordinatorContext,
  request: DelegateRequest,
): Promise<{ issuer: string; receiver: string }> {
  const { issuerApplicationId: issuer, receiverApplicationId: receiver } = request
  if (issuer !== null && receiver !== null) return { issuer, receiver }
  const { source, target } = await findEndpoints(deps.db, request.caller.zoneId, request)
  if (source === null || target === null) throw refuse('delegation_endpoint_not_found')
  return { issuer: issuer ?? source.application_id, receiver: receiver ?? target.application_id }
}
