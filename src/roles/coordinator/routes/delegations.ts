/** `/zones/{zoneId}/delegations`: HTTP in, HTTP out (coordinator §8). */
import { type Caller, isAdmin } from '../caller.ts'
import { createDelegation } from '../delegate.ts'
import { delegationView } from '../delegation-view.ts'
import type { CoordinatorContext } from '../deps.ts'
import { readIdempotencyKey } from '../idempotency.ts'
import { pageRequest, renderPage } from '../list-page.ts'
import { refuse } from '../refusal.ts'
import { revokeDelegation } from '../revoke-delegation.ts'
import * as shape from '../schemas/delegations.ts'
import { pageOnly } from '../schemas/parts.ts'
import { iso } from '../session-view.ts'
import { type EdgeFilter, type EdgeRow, findLiveInbound, listEdges } from '../store/edges.ts'
import { type ReachedEdge, traverse } from '../store/graph.ts'
import { findSession } from '../store/sessions.ts'
import type { Declare } from '../surface.ts'

const collection = '/zones/{zoneId}/delegations'

export function delegationRoutes(declare: Declare, context: CoordinatorContext): void {
  const { db } = context

  const list = async (
    caller: Caller,
    filter: EdgeFilter,
    query: { readonly limit: number; readonly cursor?: string | undefined },
    view: (row: EdgeRow) => Record<string, unknown> = delegationView,
  ): Promise<Record<string, unknown>> => {
    const own = isAdmin(caller) ? null : caller.clientId
    const rows = await listEdges(db, caller.zoneId, own, filter, pageRequest(query))
    return renderPage(rows, query.limit, view)
  }

  /** Another application's session does not exist for the caller. */
  const checkOwnSession = async (caller: Caller, sessionId: string): Promise<void> => {
    if (isAdmin(caller)) return
    const session = await findSession(db, caller.zoneId, sessionId)
    if (session?.application_id !== caller.clientId) throw refuse('session_not_found')
  }

  const checkAdmin = (caller: Caller): void => {
    if (!isAdmin(caller)) throw refuse('coordinator_admin_required')
  }

  declare({
    methods: ['POST'],
    path: collection,
    operationId: 'createDelegation',
    summary: 'Delegate from one session to another',
    body: shape.delegateBody,
    responses: { 201: shape.createdDelegation },
    errors: [
      'delegation_expiry_required',
      'delegation_expired',
      'self_delegation_denied',
      'invalid_delegation_constraint',
      'invalid_resources',
      'invalid_max_depth',
      'invalid_max_hops',
      'invalid_budget',
      'invalid_ttl_seconds',
      'invalid_expires_at',
      'invalid_policy_approved',
      'invalid_broad_reason',
      'issuer_ownership_required',
      'broad_delegation_permission_required',
      'idempotency_key_invalid',
      'idempotency_key_multiple',
      'idempotency_key_conflict',
      'idempotency_result_inactive',
      'idempotency_receipt_limit_exceeded',
      'delegation_endpoint_not_found',
      'delegation_application_mismatch',
      'resource_not_found',
      'delegation_resource_scope_mismatch',
      'delegation_scopes_exceed_resource',
      'parent_delegation_ambiguous',
      'parent_delegation_not_active',
      'delegation_exceeds_parent_authority',
      'delegation_cycle_denied',
    ],
    async handle({ c, caller, requestId, record, body }) {
      const delegated = await createDelegation(context, {
        requestId,
        caller,
        record,
        sourceSessionId: body.source_session_id ?? body.source_agent_id ?? '',
        targetSessionId: body.target_session_id ?? body.target_agent_id ?? '',
        issuerApplicationId: body.issuer_application_id ?? null,
        receiverApplicationId: body.receiver_application_id ?? null,
        parentEdgeId: body.parent_edge_id,
        resourceId: body.resource_id,
        scopes: body.scopes ?? null,
        constraints: [body.constraints_json, body.constraints],
        expiresAt: body.expires_at,
        ttlSeconds: body.ttl_seconds,
        seedForm: shape.isSeedForm(body),
        idempotencyKey: readIdempotencyKey(context, c),
      })
      if (delegated.replayed) c.header('idempotency-replayed', 'true')
      c.set('adminAuditFacts', { entityId: String(delegated.body.id) })
      return c.json(delegated.body, 201)
    },
  })

  declare({
    methods: ['GET'],
    path: collection,
    operationId: 'listDelegations',
    summary: 'List delegations the caller may see',
    query: shape.listDelegationsQuery,
    responses: { 200: shape.delegationPage },
    errors: ['invalid_cursor'],
    async handle({ c, caller, query }) {
      const filter = {
        status: query.status,
        sourceSessionId: query.source_session_id ?? query.source_agent_id,
        targetSessionId: query.target_session_id ?? query.target_agent_id,
      }
      return c.json(await list(caller, filter, query))
    },
  })

  declare({
    methods: ['GET'],
    path: `${collection}/active`,
    operationId: 'listActiveDelegations',
    summary: 'List live delegations the caller may see',
    query: pageOnly,
    responses: { 200: shape.activeDelegationPage },
    errors: ['invalid_cursor'],
    handle: async ({ c, caller, query }) => c.json(await list(caller, { live: true }, query, activeView)),
  })

  declare({
    methods: ['GET'],
    path: `${collection}/inbound/{sessionId}`,
    operationId: 'listInboundDelegations',
    summary: 'List delegations to a session',
    query: pageOnly,
    responses: { 200: shape.delegationPage },
    errors: ['session_not_found', 'invalid_cursor'],
    async handle({ c, caller, params, query }) {
      await checkOwnSession(caller, params.sessionId ?? '')
      return c.json(await list(caller, { targetSessionId: params.sessionId }, query))
    },
  })

  declare({
    methods: ['GET'],
    path: `${collection}/outbound/{sessionId}`,
    operationId: 'listOutboundDelegations',
    summary: 'List delegations from a session',
    query: pageOnly,
    responses: { 200: shape.delegationPage },
    errors: ['session_not_found', 'invalid_cursor'],
    async handle({ c, caller, params, query }) {
      await checkOwnSession(caller, params.sessionId ?? '')
      return c.json(await list(caller, { sourceSessionId: params.sessionId }, query))
    },
  })

  declare({
    methods: ['GET'],
    path: `${collection}/inbound/{sessionId}/{edgeId}`,
    operationId: 'getInboundDelegation',
    summary: 'Whether a delegation to a session is live',
    responses: { 200: shape.inboundDelegation },
    errors: ['delegation_not_found'],
    async handle({ c, caller, params }) {
      const receiver = isAdmin(caller) ? null : caller.clientId
      const { sessionId = '', edgeId = '' } = params
      const edge = await findLiveInbound(db, caller.zoneId, sessionId, edgeId, receiver)
      if (edge === null) throw refuse('delegation_not_found')
      return c.json({ id: edge.id, status: 'active', expires_at: iso(edge.expires_at) })
    },
  })

  declare({
    methods: ['GET'],
    path: `${collection}/{edgeId}/traverse`,
    operationId: 'traverseDelegation',
    summary: 'Live delegations that follow from one',
    responses: { 200: shape.reachedEdges },
    errors: ['coordinator_admin_required'],
    async handle({ c, caller, params }) {
      checkAdmin(caller)
      return c.json((await traverse(db, caller.zoneId, params.edgeId ?? '')).map(reachedView))
    },
  })

  declare({
    methods: ['GET'],
    path: `${collection}/{edgeId}/impact`,
    operationId: 'getDelegationImpact',
    summary: 'What a revocation would end',
    responses: { 200: shape.impact },
    errors: ['coordinator_admin_required', 'delegation_not_found'],
    async handle({ c, caller, params }) {
      checkAdmin(caller)
      const edges = await traverse(db, caller.zoneId, params.edgeId ?? '')
      if (edges.length === 0) throw refuse('delegation_not_found')
      const sessions = [...new Set(edges.map((edge) => edge.target_session_id))]
      const records = [...new Set(edges.map((edge) => edge.target_record_id))]
      return c.json({
        edge_id: params.edgeId,
        affected_edges: edges.map(reachedView),
        affected_sessions: sessions,
        affected_agents: sessions,
        affected_authority_records: records,
        affected_subject_sessions: records,
      })
    },
  })

  const revocation = {
    summary: 'Revoke a delegation and what was built on it',
    responses: { 200: shape.revoked },
    errors: ['delegation_not_found', 'issuer_ownership_required'],
  } as const

  declare({
    ...revocation,
    methods: ['PATCH'],
    path: `${collection}/{edgeId}/revoke`,
    operationId: 'revokeDelegation',
    handle: async ({ c, caller, requestId, record, params }) =>
      c.json(await revokeDelegation(context, { caller, requestId, record, edgeId: params.edgeId ?? '' })),
  })

  declare({
    ...revocation,
    methods: ['DELETE'],
    path: `${collection}/{edgeId}`,
    operationId: 'deleteDelegation',
    handle: async ({ c, caller, requestId, record, params }) =>
      c.json(await revokeDelegation(context, { caller, requestId, record, edgeId: params.edgeId ?? '' })),
  })
}

const activeView = (row: EdgeRow): Record<string, unknown> => ({
  ...delegationView(row),
  broad_reason: row.constraints_json.broad_reason ?? null,
})

const reachedView = ({ target_record_id: _record, ...edge }: ReachedEdge): Record<string, unknown> => edge
