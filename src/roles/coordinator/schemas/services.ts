/** Agent services as they arrive and as they are shown (coordinator §6). */
import { pageSchema } from '../../../platform/http/list-envelope.ts'
import * as v from '../../../platform/schema.ts'
import { id, instant, leaseGeneration, name, nullableId, nullableInstant, object, texts } from './parts.ts'
import { health } from './sessions.ts'

const longestUrl = 2048
/** Bytes count too: they are what an index over it can hold. */
const endpointUrl = v.pipe(
  v.string(),
  v.maxLength(longestUrl),
  v.url(),
  v.check((url) => Buffer.byteLength(url) <= longestUrl, `must have at most ${longestUrl} bytes`),
)
const framework = v.object({ name, version: v.optional(v.nullable(v.string()), null) })

const described = {
  protocol_versions: v.optional(texts, []),
  framework: v.optional(v.nullable(framework), null),
  capabilities: v.optional(texts, []),
}

export const registerBody = v.object({
  application_id: name,
  endpoint_url: endpointUrl,
  ...described,
  metadata: v.optional(object, {}),
})

/** The seed's form: the application is the agent's, and flat aliases are accepted. */
export const registerForAgentBody = v.object({
  application_id: v.optional(name),
  endpoint_url: endpointUrl,
  ...described,
  framework_name: v.optional(v.nullable(name), null),
  framework_version: v.optional(v.nullable(v.string()), null),
  metadata: v.optional(object),
  metadata_json: v.optional(object),
  health: v.optional(health),
})

export const changeBody = v.pipe(
  v.object({
    health: v.optional(health),
    endpoint_url: v.optional(endpointUrl),
    protocol_versions: v.optional(texts),
    framework: v.optional(v.nullable(framework)),
    capabilities: v.optional(texts),
    metadata: v.optional(object),
  }),
  v.check(
    (body) => Object.values(body).some((value) => value !== undefined),
    'must change at least one member',
  ),
)

export const serviceHeartbeatBody = v.optional(
  v.object({
    health: v.optional(health),
    status: v.optional(health),
    metadata: v.optional(object, {}),
    lease_generation: v.optional(leaseGeneration),
  }),
  {},
)

export const service = v.pipe(
  v.object({
    id,
    zone_id: id,
    application_id: id,
    agent_session_id: nullableId,
    endpoint_url: v.string(),
    protocol_versions: texts,
    framework_name: v.nullable(v.string()),
    framework_version: v.nullable(v.string()),
    capabilities: texts,
    health,
    metadata_json: object,
    last_heartbeat_at: nullableInstant,
    created_at: instant,
    updated_at: instant,
  }),
  v.metadata({ ref: 'AgentService' }),
)

export const servicePage = pageSchema(service)
