/** Sessions as they arrive and as they are shown, under v1's names and the seed's (coordinator §3, §4). */
import { pageSchema } from '../../../platform/http/list-envelope.ts'
import * as v from '../../../platform/schema.ts'
import {
  count,
  id,
  instant,
  leaseGeneration,
  name,
  nullableId,
  nullableInstant,
  nullableName,
  object,
  page,
  texts,
  ttlSeconds,
} from './parts.ts'

const label = v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(64))
const labels = v.optional(v.pipe(v.array(label), v.maxLength(32)))

export const startBody = v.pipe(
  v.object({
    application_id: name,
    subject_session_id: nullableName,
    session_sid: nullableName,
    subject_token: v.optional(v.nullable(v.pipe(v.string(), v.minLength(1), v.maxLength(8192))), null),
    parent_id: nullableName,
    lifecycle: v.optional(v.picklist(['task', 'service']), 'task'),
    labels,
    capabilities: labels,
    ttl_seconds: v.optional(ttlSeconds),
    parent_authority: v.optional(v.picklist(['inherit', 'none']), 'inherit'),
    inherit_parent_edge_id: nullableName,
    metadata: v.optional(v.nullable(object), null),
  }),
  v.forward(
    v.check(
      (body) => body.lifecycle === 'task' || body.ttl_seconds === undefined,
      'is not allowed for a service session',
    ),
    ['ttl_seconds'],
  ),
)

export const listSessionsQuery = v.object({
  ...page,
  status: v.optional(v.picklist(['active', 'suspended', 'terminated', 'expired'])),
  lifecycle: v.optional(v.picklist(['task', 'service'])),
  application_id: v.optional(name),
  label: v.optional(name),
})

export const terminateBody = v.optional(v.object({ lease_generation: v.optional(leaseGeneration) }), {})

export const terminateQuery = v.object({
  reason: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(256)), 'requested'),
})

export const health = v.picklist(['starting', 'healthy', 'degraded', 'unhealthy'])

export const heartbeatBody = v.object({
  lease_generation: leaseGeneration,
  status: v.optional(health, 'healthy'),
  service_id: nullableName,
  active_invocations: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 0),
  metadata: v.optional(object, {}),
})

const sessionEntries = {
  agent_session_id: id,
  id,
  zone_id: id,
  application_id: id,
  parent_id: nullableId,
  subject_authority_record_id: id,
  session_sid: id,
  lifecycle: v.picklist(['task', 'service']),
  labels: texts,
  capabilities: texts,
  status: v.picklist(['active', 'suspended', 'terminated', 'expired']),
  depth: count,
  ttl_seconds: v.nullable(count),
  started_at: instant,
  spawned_at: instant,
  last_heartbeat_at: nullableInstant,
  heartbeat_deadline_at: nullableInstant,
  lease_generation: count,
}

export const startedSession = v.pipe(
  v.object({ ...sessionEntries, delegation_edge_id: nullableId }),
  v.metadata({ ref: 'StartedSession' }),
)

const fullEntries = {
  ...sessionEntries,
  metadata: v.nullable(object),
  suspended_at: nullableInstant,
  terminated_at: nullableInstant,
  termination_reason: v.nullable(v.string()),
}

export const session = v.pipe(v.object(fullEntries), v.metadata({ ref: 'Session' }))
export const sessionPage = pageSchema(session)
export const suspended = v.object({ ...fullEntries, suspended: count })
export const resumed = v.object({ ...fullEntries, resumed: count })

export const lease = v.object({
  status: v.string(),
  heartbeat_deadline_at: instant,
  lease_generation: count,
})

export const heartbeat = v.object({
  agent: v.object({
    id,
    zone_id: id,
    application_id: id,
    status: v.string(),
    last_active_at: instant,
    last_heartbeat_at: instant,
    heartbeat_deadline_at: instant,
    lease_generation: count,
  }),
  service: v.nullable(object),
  active_invocations: count,
})

export const effectiveAuthority = v.object({
  agent_session_id: id,
  inbound_edges: v.array(id),
  effective_scopes: texts,
  effective_resource_ids: v.array(id),
  effective_resources: texts,
  effective_resource_constrained: v.boolean(),
  effective_max_hops: count,
  effective_ttl_seconds: v.nullable(count),
  earliest_expires_at: nullableInstant,
})
