/** Invocations as they arrive and as they are shown (coordinator §7). */
import { pageSchema } from '../../../platform/http/list-envelope.ts'
import * as v from '../../../platform/schema.ts'
import { count, id, instant, name, nullableId, nullableInstant, nullableName, object, page } from './parts.ts'

const integerIn = (least: number, most: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most))

export const enqueueBody = v.object({
  service_id: name,
  /** Absent: the header `Idempotency-Key`. */
  idempotency_key: v.optional(v.string()),
  method: name,
  params: v.optional(v.unknown(), {}),
  source_session_id: nullableName,
  target_session_id: nullableName,
  metadata: v.optional(object, {}),
  timeout_ms: v.optional(integerIn(1, 900_000), 30_000),
  retry_policy: v.optional(
    v.object({
      max_attempts: v.optional(integerIn(1, 10), 3),
      backoff_ms: v.optional(integerIn(0, 300_000), 1000),
    }),
    {},
  ),
})

const status = v.picklist([
  'pending',
  'running',
  'succeeded',
  'failed',
  'cancel_requested',
  'canceled',
  'timed_out',
  'dead',
])

export const listInvocationsQuery = v.object({
  ...page,
  status: v.optional(status),
  service_id: v.optional(name),
  session_id: v.optional(name),
})

export const cancelBody = v.optional(v.object({ reason: v.optional(name) }), {})

export const completeBody = v.object({
  status: v.picklist(['succeeded', 'failed', 'canceled']),
  error: v.optional(v.nullable(object), null),
  metadata: v.optional(object, {}),
})

const listEntries = {
  id,
  zone_id: id,
  service_id: id,
  source_session_id: nullableId,
  target_session_id: nullableId,
  method: v.string(),
  status,
  attempts: count,
  max_attempts: count,
  timeout_ms: count,
  deadline_at: nullableInstant,
  started_at: nullableInstant,
  completed_at: nullableInstant,
  created_at: instant,
}

export const invocation = v.pipe(
  v.object({
    ...listEntries,
    idempotency_key: v.string(),
    retry_policy_json: object,
    cancel_requested_at: nullableInstant,
    updated_at: instant,
    /** Only for callers that own the service's or the source session's application. */
    params_json: v.optional(v.unknown()),
    metadata_json: v.optional(object),
    error_json: v.optional(v.nullable(object)),
  }),
  v.metadata({ ref: 'Invocation' }),
)

export const invocationPage = pageSchema(
  v.pipe(v.object(listEntries), v.metadata({ ref: 'ListedInvocation' })),
)
