/** Delegations as they arrive and as they are shown (coordinator §8.1, §8.2). */
import { pageSchema } from '../../../platform/http/list-envelope.ts'
import * as v from '../../../platform/schema.ts'
import { isUtcInstant } from '../constraints.ts'
import {
  count,
  id,
  instant,
  name,
  nullableId,
  nullableInstant,
  nullableName,
  object,
  page,
  texts,
  ttlSeconds,
} from './parts.ts'

export const delegateBody = v.pipe(
  v.object({
    source_session_id: v.optional(name),
    target_session_id: v.optional(name),
    source_agent_id: v.optional(name),
    target_agent_id: v.optional(name),
    issuer_application_id: v.optional(name),
    receiver_application_id: v.optional(name),
    parent_edge_id: nullableName,
    resource_id: nullableName,
    scopes: v.optional(texts),
    constraints: v.optional(v.unknown(), null),
    constraints_json: v.optional(v.unknown(), null),
    expires_at: v.optional(
      v.nullable(
        v.pipe(
          v.string(),
          v.check((value: string) => isUtcInstant(value), 'must be an instant in UTC'),
        ),
      ),
      null,
    ),
    ttl_seconds: v.optional(v.nullable(ttlSeconds), null),
  }),
  v.forward(
    v.check((body) => (body.source_session_id ?? body.source_agent_id) !== undefined, 'is required'),
    ['source_session_id'],
  ),
  v.forward(
    v.check((body) => (body.target_session_id ?? body.target_agent_id) !== undefined, 'is required'),
    ['target_session_id'],
  ),
  v.forward(
    v.check((body) => isSeedForm(body) || body.issuer_application_id !== undefined, 'is required'),
    ['issuer_application_id'],
  ),
  v.forward(
    v.check((body) => isSeedForm(body) || body.receiver_application_id !== undefined, 'is required'),
    ['receiver_application_id'],
  ),
)

/** The seed's body form is recognised by its names for the two sessions. */
export function isSeedForm(body: {
  readonly source_session_id?: string | undefined
  readonly target_session_id?: string | undefined
}): boolean {
  return body.source_session_id === undefined && body.target_session_id === undefined
}

export const listDelegationsQuery = v.object({
  ...page,
  status: v.optional(v.picklist(['active', 'revoked', 'expired'])),
  source_session_id: v.optional(name),
  source_agent_id: v.optional(name),
  target_session_id: v.optional(name),
  target_agent_id: v.optional(name),
})

const delegationEntries = {
  id,
  delegation_edge_id: id,
  zone_id: id,
  source_session_id: id,
  source_agent_id: id,
  target_session_id: id,
  target_agent_id: id,
  issuer_application_id: id,
  receiver_application_id: id,
  parent_edge_id: nullableId,
  resource_id: nullableId,
  scopes: texts,
  constraints_json: object,
  status: v.picklist(['active', 'revoked', 'expired']),
  expires_at: instant,
  edge_version: count,
  revoked_at: nullableInstant,
  created_at: instant,
}

const delegation = v.pipe(v.object(delegationEntries), v.metadata({ ref: 'Delegation' }))
export const delegationPage = pageSchema(delegation)
export const activeDelegationPage = pageSchema(
  v.pipe(
    v.object({ ...delegationEntries, broad_reason: v.nullable(v.string()) }),
    v.metadata({ ref: 'ActiveDelegation' }),
  ),
)

export const createdDelegation = v.pipe(
  v.object({
    ...delegationEntries,
    warnings: texts,
    allow_reason: texts,
    effective_authority: v.object({
      source_session_id: id,
      target_session_id: id,
      parent_edge_id: nullableId,
      resource_id: nullableId,
      resources: texts,
      scopes: texts,
      expires_at: instant,
      max_hops: count,
      ttl_seconds: v.nullable(count),
      broad: v.boolean(),
      parent_edges_considered: v.array(id),
    }),
  }),
  v.metadata({ ref: 'CreatedDelegation' }),
)

export const inboundDelegation = v.object({ id, status: v.literal('active'), expires_at: instant })

export const reachedEdges = v.array(
  v.pipe(
    v.object({ id, source_session_id: id, target_session_id: id, depth: count }),
    v.metadata({ ref: 'ReachedDelegation' }),
  ),
)

export const impact = v.object({
  edge_id: id,
  affected_edges: reachedEdges,
  affected_sessions: v.array(id),
  affected_agents: v.array(id),
  affected_authority_records: v.array(id),
  affected_subject_sessions: v.array(id),
})

export const revoked = v.object({
  revoked_edges: count,
  affected_sessions: count,
  terminated_sessions: count,
  terminated_agents: count,
})
