/** `/zones/{zoneId}/agents`: HTTP in, HTTP out (coordinator §4). */
import { maySpawnFor } from '../caller.ts'
import type { CoordinatorContext } from '../deps.ts'
import { readIdempotencyKey } from '../idempotency.ts'
import { pageRequest, renderPage } from '../list-page.ts'
import { refuse } from '../refusal.ts'
import { pageOnly } from '../schemas/parts.ts'
import * as shape from '../schemas/sessions.ts'
import { sessionAuthority } from '../session-authority.ts'
import { acquireLease, heartbeat } from '../session-lease.ts'
import { sessionView } from '../session-view.ts'
import { startSession } from '../start-session.ts'
import { findSession, listSessions } from '../store/sessions.ts'
import type { Declare } from '../surface.ts'
import { resumeSession, suspendSession } from '../suspend-session.ts'
import { terminateSession } from '../terminate-session.ts'

const collection = '/zones/{zoneId}/agents'
const one = `${collection}/{sessionId}`

export function sessionRoutes(declare: Declare, context: CoordinatorContext): void {
  declare({
    methods: ['POST'],
    path: collection,
    operationId: 'startSession',
    summary: 'Start a governed session',
    body: shape.startBody,
    responses: { 201: shape.startedSession },
    errors: [
      'subject_session_id_required',
      'application_ownership_required',
      'idempotency_key_invalid',
      'idempotency_key_multiple',
      'idempotency_key_conflict',
      'idempotency_result_inactive',
      'idempotency_receipt_limit_exceeded',
      'application_not_found',
      'dcr_application_cannot_host_service',
      'dcr_application_cannot_be_child',
      'dcr_application_cannot_start_child',
      'dcr_application_already_bound',
      'session_not_found',
      'invalid_subject_proof',
      'subject_proof_application_mismatch',
      'session_zone_limit_exceeded',
      'session_limit_exceeded',
      'session_children_limit_exceeded',
      'session_depth_limit_exceeded',
      'parent_not_found',
      'parent_ownership_required',
      'task_session_cannot_start_service',
      'inherit_parent_edge_not_active',
      'inherit_parent_edge_ambiguous',
    ],
    async handle({ c, caller, requestId, record, body }) {
      const subjectSessionId = body.subject_session_id ?? body.session_sid
      if (subjectSessionId === null && caller.authorityRecordId === null)
        throw refuse('subject_session_id_required')
      if (!maySpawnFor(caller, body.application_id)) throw refuse('application_ownership_required')
      const key = readIdempotencyKey(context, c)
      const started = await startSession(context, {
        requestId,
        caller,
        record,
        applicationId: body.application_id,
        subjectSessionId,
        subjectToken: body.subject_token,
        parentId: body.parent_id,
        lifecycle: body.lifecycle,
        labels: body.labels ?? body.capabilities ?? [],
        ttlSeconds: body.lifecycle === 'service' ? null : (body.ttl_seconds ?? 3600),
        parentAuthority: body.parent_authority,
        inheritParentEdgeId: body.inherit_parent_edge_id,
        metadata: body.metadata ?? {},
        idempotency:
          key === null ? null : { key, generated: c.req.header('idempotency-key-kind') === 'generated' },
      })
      if (started.replayed) c.header('idempotency-replayed', 'true')
      c.set('adminAuditFacts', { entityId: String(started.body.id) })
      return c.json(started.body, 201)
    },
  })

  declare({
    methods: ['GET'],
    path: collection,
    operationId: 'listSessions',
    summary: 'List sessions of the zone',
    query: shape.listSessionsQuery,
    responses: { 200: shape.sessionPage },
    errors: ['invalid_cursor'],
    async handle({ c, caller, query }) {
      const { status, lifecycle, application_id: applicationId, label } = query
      const filter = { status, lifecycle, applicationId, label }
      const rows = await listSessions(context.db, caller.zoneId, filter, pageRequest(query))
      return c.json(renderPage(rows, query.limit, sessionView))
    },
  })

  declare({
    methods: ['GET'],
    path: one,
    operationId: 'getSession',
    summary: 'One session',
    responses: { 200: shape.session },
    errors: ['session_not_found'],
    async handle({ c, caller, params }) {
      const row = await findSession(context.db, caller.zoneId, params.sessionId ?? '')
      if (row === null) throw refuse('session_not_found')
      return c.json(sessionView(row))
    },
  })

  declare({
    methods: ['GET'],
    path: `${one}/children`,
    operationId: 'listSessionChildren',
    summary: 'Direct children of a session',
    query: pageOnly,
    responses: { 200: shape.sessionPage },
    errors: ['invalid_cursor'],
    async handle({ c, caller, params, query }) {
      const filter = { parentId: params.sessionId }
      const rows = await listSessions(context.db, caller.zoneId, filter, pageRequest(query))
      return c.json(renderPage(rows, query.limit, sessionView))
    },
  })

  declare({
    methods: ['GET'],
    path: `${one}/effective-authority`,
    operationId: 'getEffectiveAuthority',
    summary: 'What the live delegations to a session add up to',
    responses: { 200: shape.effectiveAuthority },
    errors: ['session_not_found'],
    handle: async ({ c, caller, params }) =>
      c.json(await sessionAuthority(context, caller, params.sessionId ?? '')),
  })

  declare({
    methods: ['POST', 'PATCH'],
    path: `${one}/suspend`,
    operationId: 'suspendSession',
    summary: 'Suspend a session and what is active below it',
    responses: { 200: shape.suspended },
    errors: ['session_not_found', 'application_ownership_required', 'session_not_found_or_not_active'],
    handle: async ({ c, caller, requestId, params }) =>
      c.json(await suspendSession(context, { caller, requestId, sessionId: params.sessionId ?? '' })),
  })

  declare({
    methods: ['POST', 'PATCH'],
    path: `${one}/resume`,
    operationId: 'resumeSession',
    summary: 'Resume a suspended session and what was suspended with it',
    responses: { 200: shape.resumed },
    errors: ['session_not_found', 'application_ownership_required', 'session_not_found_or_not_suspended'],
    handle: async ({ c, caller, requestId, params }) =>
      c.json(await resumeSession(context, { caller, requestId, sessionId: params.sessionId ?? '' })),
  })

  declare({
    methods: ['DELETE'],
    path: one,
    operationId: 'terminateSession',
    summary: 'End a session and everything below it',
    query: shape.terminateQuery,
    body: shape.terminateBody,
    bodyOptional: true,
    responses: { 204: null },
    errors: [
      'session_not_found',
      'application_ownership_required',
      'lease_generation_required',
      'session_lease_fenced',
    ],
    async handle({ c, caller, requestId, record, params, query, body }) {
      await terminateSession(context, {
        requestId,
        caller,
        record,
        sessionId: params.sessionId ?? '',
        reason: query.reason,
        leaseGeneration: body.lease_generation ?? null,
      })
      return c.body(null, 204)
    },
  })

  const leaseErrors = [
    'session_not_found',
    'application_ownership_required',
    'session_not_service',
    'session_not_live',
    'session_subject_inactive',
    'session_lease_expired',
    'authority_record_required',
  ] as const

  declare({
    methods: ['POST'],
    path: `${one}/lease`,
    operationId: 'acquireSessionLease',
    summary: 'Take over a service session',
    responses: { 200: shape.lease },
    errors: [...leaseErrors, 'session_suspended'],
    handle: async ({ c, caller, requestId, params }) =>
      c.json(await acquireLease(context, { caller, requestId, sessionId: params.sessionId ?? '' })),
  })

  declare({
    methods: ['POST'],
    path: `${one}/heartbeat`,
    operationId: 'sendSessionHeartbeat',
    summary: 'Renew the lease of a service session',
    body: shape.heartbeatBody,
    responses: { 200: shape.heartbeat },
    errors: [...leaseErrors, 'session_lease_fenced', 'agent_service_not_found'],
    async handle({ c, caller, requestId, params, body }) {
      const beaten = await heartbeat(context, {
        caller,
        requestId,
        sessionId: params.sessionId ?? '',
        leaseGeneration: body.lease_generation,
        health: body.status,
        serviceId: body.service_id,
        metadata: body.metadata,
      })
      return c.json({ ...beaten, active_invocations: body.active_invocations })
    },
  })
}
