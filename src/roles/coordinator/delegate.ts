/**
 * Creates a delegation edge (coordinator §8.2). One transaction: idempotency key, graph lock,
 * checks in the order of the spec, insert, events, receipt. Authority only narrows: the one
 * decision about that is `narrow.ts`.
 *
 * Round trips: locks, key and facts; writes. `begin` and `commit` travel along.
 */

import type { OpenRecord } from '../../platform/admin-audit/gate.ts'
import type { Tx } from '../../platform/db/port.ts'
import { lockGraph } from '../../platform/db/zone-locks.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { hopsOf } from './constraints.ts'
import { type DelegateRequest, readTerms, type Terms } from './delegation-terms.ts'
import { delegationView } from './delegation-view.ts'
import type { CoordinatorContext } from './deps.ts'
import { edgeCreated } from './events.ts'
import { type Claim, claimKey, unlessInactive } from './idempotency.ts'
import { excessOver } from './narrow.ts'
import { recordedChange } from './recorded-change.ts'
import { refuse } from './refusal.ts'
import { type EdgeRow, insertEdge, isEdgeLive, liveInbound, type NewEdge } from './store/edges.ts'
import { readEpoch, startEpoch } from './store/epochs.ts'
import { reaches } from './store/graph.ts'
import { findResources, type ResourceRef } from './store/references.ts'
import { findEndpoints, type SessionRow } from './store/sessions.ts'

export interface Delegated {
  readonly body: Record<string, unknown>
  readonly replayed: boolean
}

/** Throws the refusals of coordinator §8.2. */
export async function createDelegation(
  deps: CoordinatorContext,
  request: DelegateRequest,
): Promise<Delegated> {
  const terms = await readTerms(deps, request)
  return recordedChange(deps, request.record, async (tx, open) => {
    // In one packet, run in this order: the key's lock is held before the graph's is asked for.
    const [claim, state] = await Promise.all([
      claimDelegation(deps, tx, request, terms),
      readState(tx, open, request, terms),
    ])
    if (claim?.receipt) {
      const { resource_id: id } = claim.receipt
      const live = await isEdgeLive(tx, request.caller.zoneId, id, terms.issuer)
      const body = unlessInactive(claim.receipt, live, 'delegation')
      state.record({ status: 201, entityId: id })
      return { body, replayed: true }
    }
    return { body: await insertDelegation(deps, tx, request, terms, claim, state), replayed: false }
  })
}

type State = Awaited<ReturnType<typeof readState>>

/** What a delegation stands on, read under the graph lock. */
async function readState(tx: Tx, open: OpenRecord, request: DelegateRequest, terms: Terms) {
  const { zoneId } = request.caller
  const identifiers = terms.constraints.resources ?? []
  const names = request.resourceId === null ? identifiers : [request.resourceId, ...identifiers]
  const [, record, endpoints, resources, inbound, cycle, expiry, epoch] = await Promise.all([
    lockGraph(tx, zoneId),
    open(tx),
    findEndpoints(tx, zoneId, request),
    findResources(tx, zoneId, names),
    liveInbound(tx, zoneId, request.sourceSessionId),
    reaches(tx, zoneId, request.targetSessionId, request.sourceSessionId),
    expiryOf(tx, terms),
    readEpoch(tx, zoneId),
  ])
  return { record, endpoints, resources, inbound, cycle, expiry, epoch }
}

async function insertDelegation(
  deps: CoordinatorContext,
  tx: Tx,
  request: DelegateRequest,
  terms: Terms,
  claim: Claim | null,
  { record, endpoints, resources, inbound, cycle, expiry, epoch }: State,
): Promise<Record<string, unknown>> {
  const { zoneId } = request.caller
  const target = checkEndpoints(endpoints, terms)
  const bound = checkResources(request, terms, resources)
  const parent = chooseParent(request.parentEdgeId, inbound)
  checkNarrowing(parent, terms, bound, expiry)
  if (cycle) throw refuse('delegation_cycle_denied')
  if (!expiry.inFuture) throw refuse('delegation_expired')

  const edge = {
    id: uuidv7(),
    zoneId,
    sourceSessionId: request.sourceSessionId,
    targetSessionId: request.targetSessionId,
    issuerApplicationId: terms.issuer,
    receiverApplicationId: terms.receiver,
    resourceId: bound.resourceId,
    parentEdgeId: parent?.id ?? null,
    scopes: terms.scopes,
    constraints: { ...terms.constraints },
    expiresAt: expiry.at,
  }
  const origin = { zoneId, requestId: request.requestId }
  const body = answer(newRow(edge, expiry.now), parent, inbound, bound, terms)
  if (epoch === null) await startEpoch(tx, zoneId)
  insertEdge(tx, edge)
  claim?.store({ resourceType: 'delegation_edge', resourceId: edge.id, body })
  record({ status: 201, entityId: edge.id })
  const events = edgeCreated(deps.keys.audit, origin, edge, target.session_sid, epoch ?? 1)
  await deps.outbox.enqueue(tx, 'coordinator', events)
  return body
}

/** The row as it was inserted, for the answer and its receipt. */
const newRow = (edge: NewEdge, at: Date): EdgeRow => ({
  id: edge.id,
  zone_id: edge.zoneId,
  source_agent_id: edge.sourceSessionId,
  target_agent_id: edge.targetSessionId,
  issuer_application_id: edge.issuerApplicationId,
  receiver_application_id: edge.receiverApplicationId,
  resource_id: edge.resourceId,
  parent_edge_id: edge.parentEdgeId,
  scopes: edge.scopes,
  constraints_json: edge.constraints,
  status: 'active',
  expires_at: edge.expiresAt,
  edge_version: 0,
  revoked_at: null,
  created_at: at,
})

interface Expiry {
  /** The transaction's `now()`. */
  readonly now: Date
  readonly at: Date
  readonly inFuture: boolean
}

/** The edge's expiry by the database clock. */
async function expiryOf(tx: Tx, terms: Terms): Promise<Expiry> {
  const [row] = await tx.sql<Expiry[]>`
    select now() as now, at, at > statement_timestamp() as "inFuture"
    from (
      select coalesce(
        ${terms.expiresAt}::timestamptz,
        statement_timestamp() + make_interval(secs => ${terms.ttlSeconds}::int)
      ) as at
    ) as expiry`
  if (row === undefined) throw new Error('the expiry statement returned no row')
  return row
}

/** Answers the target. */
function checkEndpoints(
  endpoints: { source: SessionRow | null; target: SessionRow | null },
  terms: Terms,
): SessionRow {
  const { source, target } = endpoints
  if (source === null || target === null) throw refuse('delegation_endpoint_not_found')
  if (source.application_id !== terms.issuer || target.application_id !== terms.receiver) {
    throw refuse('delegation_application_mismatch')
  }
  return target
}

interface Bound {
  readonly resourceId: string | null
  /** Every resource the edge names, by identifier. */
  readonly identifiers: readonly string[]
}

function checkResources(request: DelegateRequest, terms: Terms, found: readonly ResourceRef[]): Bound {
  const byName = (name: string) =>
    found.find((resource) => resource.identifier === name || resource.id === name)
  const single = request.resourceId === null ? null : byName(request.resourceId)
  const listed = terms.constraints.resources ?? []
  if (single === undefined || listed.some((identifier) => byName(identifier)?.identifier !== identifier)) {
    throw refuse('resource_not_found')
  }
  if (single !== null && listed.length > 0 && !listed.includes(single.identifier)) {
    throw refuse('delegation_resource_scope_mismatch')
  }
  const named = single === null ? found : [single, ...found]
  const allowed = new Set(named.flatMap((resource) => resource.scopes))
  if (named.length > 0 && !terms.scopes.every((scope) => allowed.has(scope))) {
    throw refuse('delegation_scopes_exceed_resource')
  }
  return {
    resourceId: single?.id ?? null,
    identifiers: [...new Set(named.map((resource) => resource.identifier))],
  }
}

function chooseParent(wanted: string | null, inbound: readonly EdgeRow[]): EdgeRow | null {
  if (wanted !== null) {
    const edge = inbound.find((candidate) => candidate.id === wanted)
    if (edge === undefined) throw refuse('parent_delegation_not_active')
    return edge
  }
  if (inbound.length > 1) throw refuse('parent_delegation_ambiguous')
  return inbound[0] ?? null
}

function checkNarrowing(parent: EdgeRow | null, terms: Terms, bound: Bound, expiry: Expiry): void {
  if (parent === null) return
  const excess = excessOver(
    {
      scopes: parent.scopes,
      resourceId: parent.resource_id,
      expiresAt: parent.expires_at.getTime(),
      constraints: parent.constraints_json,
    },
    {
      scopes: terms.scopes,
      resourceId: bound.resourceId,
      expiresAt: expiry.at.getTime(),
      // A child bound by row id names its resource as well as one that lists it.
      constraints: { ...terms.constraints, resources: bound.identifiers },
    },
  )
  if (excess !== null) throw refuse('delegation_exceeds_parent_authority', { body: { detail: excess } })
}

function answer(
  edge: EdgeRow,
  parent: EdgeRow | null,
  considered: readonly EdgeRow[],
  bound: Bound,
  terms: Terms,
): Record<string, unknown> {
  const { broad, constraints } = terms
  return {
    ...delegationView(edge),
    warnings: broad ? ['resource_null_delegation_broadens_resource_matching'] : [],
    allow_reason: [
      'same_zone_endpoints_active',
      broad ? 'broad_delegation_elevated' : 'resource_scope_checked',
      parent === null ? 'source_authority_root' : 'parent_authority_narrowed',
      'typed_constraints_validated',
    ],
    effective_authority: {
      source_session_id: edge.source_agent_id,
      target_session_id: edge.target_agent_id,
      parent_edge_id: edge.parent_edge_id,
      resource_id: edge.resource_id,
      resources: bound.identifiers,
      scopes: edge.scopes,
      expires_at: edge.expires_at.toISOString(),
      max_hops: hopsOf(constraints),
      ttl_seconds: constraints.ttl_seconds ?? null,
      broad,
      parent_edges_considered: considered.map((candidate) => candidate.id),
    },
  }
}

async function claimDelegation(
  deps: CoordinatorContext,
  tx: Tx,
  request: DelegateRequest,
  terms: Terms,
): Promise<Claim | null> {
  if (request.idempotencyKey === null) return null
  return claimKey(deps, tx, {
    operation: 'delegation.create.v2',
    zoneId: request.caller.zoneId,
    scopeId: terms.issuer,
    key: request.idempotencyKey,
    fingerprint: {
      principal: { client_id: request.caller.clientId, subject: request.caller.subject },
      source_session_id: request.sourceSessionId,
      target_session_id: request.targetSessionId,
      issuer_application_id: terms.issuer,
      receiver_application_id: terms.receiver,
      parent_edge_id: request.parentEdgeId,
      resource_id: request.resourceId,
      scopes: [...terms.scopes].sort(),
      constraints: { ...terms.constraints },
      expires_at: terms.expiresAt,
      ttl_seconds: terms.ttlSeconds,
    },
    retentionSeconds: deps.settings.IDEMPOTENCY_RETENTION_SECONDS,
    maxReceipts: deps.settings.IDEMPOTENCY_MAX_RECEIPTS_PER_SCOPE,
  })
}
