/** `/zones/{zoneId}/invocations`: HTTP in, HTTP out (coordinator §7). */
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { advanceErrors, reportOutcome, requestCancel, startInvocation } from '../advance-invocation.ts'
import type { CoordinatorContext } from '../deps.ts'
import { enqueueInvocation } from '../enqueue-invocation.ts'
import { checkIdempotencyKey, readIdempotencyKey } from '../idempotency.ts'
import { invocationFor, listedInvocation } from '../invocation-view.ts'
import { pageRequest, renderPage } from '../list-page.ts'
import { countEnqueue } from '../rate-limits.ts'
import { refuse } from '../refusal.ts'
import * as shape from '../schemas/invocations.ts'
import { findInvocation, listInvocations } from '../store/invocations.ts'
import type { Declare } from '../surface.ts'

const collection = '/zones/{zoneId}/invocations'
const one = `${collection}/{invocationId}`

export function invocationRoutes(declare: Declare, context: CoordinatorContext): void {
  declare({
    methods: ['POST'],
    path: collection,
    operationId: 'enqueueInvocation',
    summary: 'Enqueue work for a service',
    body: shape.enqueueBody,
    responses: { 201: shape.invocation },
    errors: [
      'agent_service_not_found',
      'session_not_found',
      'invoker_ownership_required',
      'idempotency_key_invalid',
      'idempotency_key_multiple',
      'idempotency_key_conflict',
    ],
    async handle({ c, caller, requestId, body }) {
      const { idempotency_key: given } = body
      const key = given === undefined ? readIdempotencyKey(context, c) : checkIdempotencyKey(context, given)
      if (key === null) {
        const issue = { path: ['idempotency_key'], message: 'is required' }
        throw errorOf('invalid_body', { body: { details: { issues: [issue] } } })
      }
      const enqueued = await enqueueInvocation(context, {
        caller,
        requestId,
        serviceId: body.service_id,
        sourceSessionId: body.source_session_id,
        targetSessionId: body.target_session_id,
        idempotencyKey: key,
        method: body.method,
        params: body.params,
        metadata: body.metadata,
        timeoutMs: body.timeout_ms,
        retryPolicy: body.retry_policy,
        countNew: () => countEnqueue(c, context),
      })
      if (enqueued.replayed) c.header('idempotency-replayed', 'true')
      c.set('adminAuditFacts', { entityId: enqueued.id })
      return c.json(enqueued.body, 201)
    },
  })

  declare({
    methods: ['GET'],
    path: collection,
    operationId: 'listInvocations',
    summary: 'List invocations of the zone',
    query: shape.listInvocationsQuery,
    responses: { 200: shape.invocationPage },
    errors: ['invalid_cursor'],
    async handle({ c, caller, query }) {
      const { status, service_id: serviceId, session_id: sessionId } = query
      const filter = { status, serviceId, sessionId }
      const rows = await listInvocations(context.db, caller.zoneId, filter, pageRequest(query))
      return c.json(renderPage(rows, query.limit, listedInvocation))
    },
  })

  declare({
    methods: ['GET'],
    path: one,
    operationId: 'getInvocation',
    summary: 'One invocation',
    responses: { 200: shape.invocation },
    errors: ['invocation_not_found'],
    async handle({ c, caller, params }) {
      const row = await findInvocation(context.db, caller.zoneId, params.invocationId ?? '')
      if (row === null) throw refuse('invocation_not_found')
      return c.json(invocationFor(caller, row, row))
    },
  })

  declare({
    methods: ['PATCH', 'POST'],
    path: `${one}/start`,
    operationId: 'startInvocation',
    summary: 'Begin the next attempt',
    responses: { 200: shape.invocation },
    errors: [...advanceErrors, 'invocation_not_startable'],
    handle: async ({ c, caller, requestId, params }) =>
      c.json(await startInvocation(context, { caller, requestId, invocationId: params.invocationId ?? '' })),
  })

  declare({
    methods: ['POST', 'PATCH'],
    path: `${one}/cancel`,
    operationId: 'cancelInvocation',
    summary: 'Cancel what waits, ask what runs to stop',
    body: shape.cancelBody,
    bodyOptional: true,
    responses: { 200: shape.invocation },
    errors: [...advanceErrors, 'invocation_not_cancelable'],
    handle: async ({ c, caller, requestId, params, body }) =>
      c.json(
        await requestCancel(context, {
          caller,
          requestId,
          invocationId: params.invocationId ?? '',
          reason: body.reason ?? null,
        }),
      ),
  })

  declare({
    methods: ['POST', 'PATCH'],
    path: `${one}/complete`,
    operationId: 'completeInvocation',
    summary: 'Report how an attempt ended',
    body: shape.completeBody,
    responses: { 200: shape.invocation },
    errors: [...advanceErrors, 'invocation_not_completable'],
    handle: async ({ c, caller, requestId, params, body }) =>
      c.json(
        await reportOutcome(context, {
          caller,
          requestId,
          invocationId: params.invocationId ?? '',
          status: body.status,
          error: body.error,
          metadata: body.metadata,
        }),
      ),
  })
}
