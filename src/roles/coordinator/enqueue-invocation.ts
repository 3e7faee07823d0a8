/**
 * Enqueues durable work for a service (coordinator §7.1). A key makes one invocation per service
 * for as long as the row lives (§5.5): the unique constraint decides, not a receipt.
 */
import { uuidv7 } from '../../platform/ids.ts'
import { type Asked, mayInvokeFor } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { invocationChanged } from './events.ts'
import { requestDigest } from './idempotency.ts'
import { invocationView } from './invocation-view.ts'
import { refuse } from './refusal.ts'
import {
  findByKey,
  type InvocationRow,
  insertInvocation,
  type NewInvocation,
  readEnqueueFacts,
} from './store/invocations.ts'

export interface EnqueueRequest extends Asked, Omit<NewInvocation, 'id' | 'zoneId' | 'requestDigest'> {
  /** Counts the request once it is known to be new; throws 429. */
  readonly countNew: () => Promise<void>
}

export interface Enqueued {
  readonly id: string
  readonly body: Record<string, unknown>
  readonly replayed: boolean
}

/** Round trips: facts, insert, event; `begin` and `commit` travel along. */
export async function enqueueInvocation(
  deps: CoordinatorContext,
  request: EnqueueRequest,
): Promise<Enqueued> {
  const { caller, serviceId, sourceSessionId, targetSessionId, idempotencyKey } = request
  const { zoneId } = caller
  const sessionIds = [...new Set([sourceSessionId, targetSessionId])].filter((id) => id !== null)
  const facts = await readEnqueueFacts(deps.db, zoneId, {
    serviceId,
    sourceSessionId,
    sessionIds,
    idempotencyKey,
  })
  if (facts === null) throw refuse('agent_service_not_found')
  if (facts.live_sessions.length < sessionIds.length) throw refuse('session_not_found')
  const invoker = facts.source_application_id ?? facts.service_application_id
  if (!mayInvokeFor(caller, invoker)) throw refuse('invoker_ownership_required')
  const digest = requestDigest(fingerprint(request))

  if (facts.known === null) {
    await request.countNew()
    const created = await deps.outbox.transaction(deps.db, async (tx) => {
      const row = await insertInvocation(tx, { ...request, id: uuidv7(), zoneId, requestDigest: digest })
      if (row !== null) {
        const origin = { zoneId, requestId: request.requestId }
        await deps.outbox.enqueue(tx, 'coordinator', [invocationChanged(origin, 'created', row)])
      }
      return row
    })
    if (created !== null) {
      deps.counts.idempotency.created += 1
      return answer(created, false)
    }
  }
  const known = await findByKey(deps.db, zoneId, serviceId, idempotencyKey)
  if (known === null) throw refuse('agent_service_not_found')
  if (!known.request_digest.equals(digest)) {
    deps.counts.idempotency.conflicts += 1
    throw refuse('idempotency_key_conflict', {
      message: 'This idempotency key was used for a different invocation of the service',
    })
  }
  deps.counts.idempotency.replayed += 1
  return answer(known, true)
}

const answer = (row: InvocationRow, replayed: boolean): Enqueued => ({
  id: row.id,
  body: invocationView(row),
  replayed,
})

const fingerprint = (request: EnqueueRequest): Readonly<Record<string, unknown>> => ({
  principal: { client_id: request.caller.clientId, subject: request.caller.subject },
  service_id: request.serviceId,
  source_session_id: request.sourceSessionId,
  target_session_id: request.targetSessionId,
  method: request.method,
  params: request.params,
  metadata: request.metadata,
  timeout_ms: request.timeoutMs,
  retry_policy: request.retryPolicy,
})
