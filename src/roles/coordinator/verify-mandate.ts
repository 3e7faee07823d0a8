/** `POST /v1/verify` (coordinator §14.1): what a mandate says, if this zone signed it. Revocation is not asked. */
import { idPattern } from '../../platform/ids.ts'
import { KeySetUnavailable } from '../../platform/jose/key-set.ts'
import * as v from '../../platform/schema.ts'
import type { CoordinatorContext } from './deps.ts'
import { readMandate } from './mandate.ts'

const name = v.pipe(v.string(), v.minLength(1))

/** Strict: a condition that is not understood would be a check that is not made. */
export const verifyBody = v.strictObject({
  token: v.optional(v.string()),
  /** `Bearer x`, or the token alone. */
  authorization: v.optional(v.string()),
  zone_id: v.pipe(v.string(), v.regex(idPattern)),
  required_scope: v.optional(name),
  require_session: v.optional(v.boolean(), false),
  require_delegation: v.optional(v.boolean(), false),
})

type VerifyRequest = v.InferOutput<typeof verifyBody>

const text = v.pipe(v.string(), v.minLength(1))
const texts = v.array(v.string())

/** Claims every mandate carries, and those that may be there. */
const mandateClaims = v.object({
  exp: v.number(),
  iat: v.number(),
  jti: text,
  sub: text,
  client_id: text,
  sid: text,
  root_sid: text,
  zone_id: text,
  use: v.picklist(['session', 'resource']),
  sub_type: v.picklist(['user', 'application']),
  scope: v.optional(v.string(), ''),
  target: v.optional(v.union([v.string(), texts])),
  agent_session_id: v.optional(text),
  delegation_edge_id: v.optional(text),
  source_session_id: v.optional(text),
  target_session_id: v.optional(text),
  delegation_path: v.optional(texts),
  delegation_chain: v.optional(
    v.array(
      v.object({
        application_id: text,
        agent_session_id: v.optional(text),
        delegation_edge_id: v.optional(text),
      }),
    ),
  ),
  delegation_graph_epoch: v.optional(v.number()),
  hop_count: v.optional(v.pipe(v.number(), v.maxValue(10))),
})

/** The token of the request, without its scheme; empty when there is none. */
export function presentedToken({ token, authorization }: VerifyRequest): string {
  return token?.trim() || (authorization ?? '').replace(/^Bearer /, '').trim()
}

/** The claims under their public names, or null for whatever is not a valid mandate of the zone. */
export async function verifyMandate(
  context: CoordinatorContext,
  request: VerifyRequest,
): Promise<Record<string, unknown> | null> {
  const mandate = await readMandate(context, presentedToken(request), request.zone_id).catch(unproven)
  const parsed = mandate === null ? null : v.safeParse(mandateClaims, mandate.claims)
  if (!parsed?.success) return null
  const claims = parsed.output
  if (request.required_scope !== undefined && !claims.scope.split(' ').includes(request.required_scope)) {
    return null
  }
  if (request.require_session && claims.agent_session_id === undefined) return null
  if (request.require_delegation && claims.delegation_edge_id === undefined) return null
  return publicClaims(claims)
}

/** What cannot be proved is not valid (§14.1); only a store that is away answers for itself. */
function unproven(error: unknown): null {
  if (error instanceof KeySetUnavailable) return null
  throw error
}

function publicClaims(claims: v.InferOutput<typeof mandateClaims>): Record<string, unknown> {
  const { target } = claims
  return {
    sub: claims.sub,
    zoneId: claims.zone_id,
    clientId: claims.client_id,
    authorityRecordId: claims.sid,
    rootAuthorityRecordId: claims.root_sid,
    use: claims.use,
    subType: claims.sub_type,
    jti: claims.jti,
    issuedAt: claims.iat,
    expiresAt: claims.exp,
    scope: claims.scope,
    targetResources: target === undefined ? undefined : typeof target === 'string' ? [target] : target,
    sessionId: claims.agent_session_id,
    delegationId: claims.delegation_edge_id,
    sourceSessionId: claims.source_session_id,
    targetSessionId: claims.target_session_id,
    delegationPath: claims.delegation_path,
    delegationChain: claims.delegation_chain?.map((link) => ({
      applicationId: link.application_id,
      sessionId: link.agent_session_id,
      delegationId: link.delegation_edge_id,
    })),
    graphEpoch: claims.delegation_graph_epoch,
    hopCount: claims.hop_count,
  }
}
