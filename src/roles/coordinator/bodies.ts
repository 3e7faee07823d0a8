/** What the coordinator accepts, under v1's names and the seed's (coordinator §3, §4.2, §8.2). */
import * as v from 'valibot'

const name = v.pipe(v.string(), v.minLength(1))
const nullableName = v.optional(v.nullable(name), null)
const label = v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(64))
const labels = v.optional(v.pipe(v.array(label), v.maxLength(32)))
const ttl = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(86_400))

const startEntries = {
  application_id: name,
  subject_session_id: nullableName,
  session_sid: nullableName,
  subject_token: v.optional(v.nullable(v.pipe(v.string(), v.minLength(1), v.maxLength(8192))), null),
  parent_id: nullableName,
  lifecycle: v.optional(v.picklist(['task', 'service']), 'task'),
  labels,
  capabilities: labels,
  ttl_seconds: v.optional(ttl),
  parent_authority: v.optional(v.picklist(['inherit', 'none']), 'inherit'),
  inherit_parent_edge_id: nullableName,
  metadata: v.optional(v.nullable(v.record(v.string(), v.unknown())), null),
}

export const startBody = v.pipe(
  v.object(startEntries),
  v.forward(
    v.check(
      (body) => body.lifecycle === 'task' || body.ttl_seconds === undefined,
      'is not allowed for a service session',
    ),
    ['ttl_seconds'],
  ),
)

export const terminateBody = v.optional(
  v.object({ lease_generation: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))) }),
  {},
)

export const terminateQuery = v.object({
  reason: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(256)), 'requested'),
})

const object = v.record(v.string(), v.unknown())

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
    scopes: v.optional(v.array(name)),
    constraints: v.optional(v.nullable(object), null),
    constraints_json: v.optional(v.nullable(object), null),
    expires_at: v.optional(
      v.nullable(v.pipe(v.string(), v.isoTimestamp(), v.endsWith('Z', 'must be in UTC'))),
      null,
    ),
    ttl_seconds: v.optional(v.nullable(ttl), null),
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
