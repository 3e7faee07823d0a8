/**
 * Starts a governed session (coordinator §4.2). One transaction: idempotency key, spawn lock,
 * checks in the order of the spec, insert, inherited edge, events, receipt. Nothing of a refused
 * start remains.
 *
 * Round trips: locks, key and facts; writes. `begin` and `commit` travel along.
 */
import type { OpenRecord, WriteRecord } from '../../platform/admin-audit/gate.ts'
import type { Tx } from '../../platform/db/port.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { maySpawnUnder, type Recorded } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { edgeCreated, started } from './events.ts'
import { type Claim, claimKey, unlessInactive } from './idempotency.ts'
import { chooseInherited, mirrorOf } from './inherit.ts'
import type { Mandate } from './mandate.ts'
import { recordedChange } from './recorded-change.ts'
import { refuse } from './refusal.ts'
import { type SessionIdentity, startedView } from './session-view.ts'
import { withSpawnLease } from './spawn-lease.ts'
import { type InboundEdge, inboundFor, insertEdge } from './store/edges.ts'
import { readEpoch } from './store/epochs.ts'
import { lockSpawn, lockZone } from './store/locks.ts'
import { insertSession, isSessionLive, type NewSession } from './store/sessions.ts'
import { findParentForUpdate, type ParentRow, readStartFacts, type StartFacts } from './store/start-facts.ts'
import { checkSubjectProof, readProof } from './subject-proof.ts'

export interface StartRequest extends Recorded {
  readonly applicationId: string
  /** As sent; null when the caller's own authority record is meant. */
  readonly subjectSessionId: string | null
  readonly subjectToken: string | null
  readonly parentId: string | null
  readonly lifecycle: 'task' | 'service'
  readonly labels: readonly string[]
  readonly ttlSeconds: number | null
  readonly parentAuthority: 'inherit' | 'none'
  readonly inheritParentEdgeId: string | null
  readonly metadata: Readonly<Record<string, unknown>>
  readonly idempotency: { readonly key: string; readonly generated: boolean } | null
}

export interface Started {
  readonly body: Record<string, unknown>
  readonly replayed: boolean
}

/** Throws the refusals of coordinator §4.2. */
export async function startSession(deps: CoordinatorContext, request: StartRequest): Promise<Started> {
  const { zoneId, authorityRecordId } = request.caller
  const recordId = request.subjectSessionId ?? authorityRecordId
  if (recordId === null) throw refuse('subject_session_id_required')
  const proof = await readProof(deps, request)
  return withSpawnLease(deps, zoneId, () =>
    recordedChange(deps, request.record, async (tx, open) => {
      // In one packet, run in this order: the key's lock is held before the zone's is asked for.
      const [claim, state] = await Promise.all([
        claimStart(deps, tx, request),
        readState(tx, open, request, recordId),
      ])
      if (claim?.receipt) {
        const live = await isSessionLive(tx, zoneId, claim.receipt.resource_id)
        const body = unlessInactive(claim.receipt, live, 'session')
        state.record({ status: 201, entityId: claim.receipt.resource_id })
        return { body, replayed: true }
      }
      const body = await insertStarted(deps, tx, request, { recordId, proof, claim, state })
      return { body, replayed: false }
    }),
  )
}

/** What a start stands on, known before its facts are read. */
interface Basis {
  readonly recordId: string
  readonly proof: Mandate | null
  readonly claim: Claim | null
  readonly state: State
}

/** What was read under the locks of the start. */
interface State {
  readonly record: WriteRecord
  readonly facts: StartFacts
  readonly parent: ParentRow | null
  readonly inbound: readonly InboundEdge[]
  readonly epoch: number | null
}

const inheritsFrom = ({ parentId, parentAuthority }: StartRequest): string | null =>
  parentAuthority === 'inherit' ? parentId : null

async function readState(tx: Tx, open: OpenRecord, request: StartRequest, recordId: string): Promise<State> {
  const { applicationId, parentId } = request
  const { zoneId } = request.caller
  const from = inheritsFrom(request)
  const [, record, facts, parent, inbound, epoch] = await Promise.all([
    // Both before the parent's row is locked: a delegation takes the graph lock first and rows after.
    from === null ? lockSpawn(tx, zoneId) : lockZone(tx, zoneId),
    open(tx),
    readStartFacts(tx, zoneId, applicationId, recordId),
    parentId === null ? null : findParentForUpdate(tx, zoneId, parentId),
    from === null ? [] : inboundFor(tx, zoneId, from, applicationId),
    from === null ? null : readEpoch(tx, zoneId),
  ])
  return { record, facts, parent, inbound, epoch }
}

async function insertStarted(
  deps: CoordinatorContext,
  tx: Tx,
  request: StartRequest,
  { recordId, proof, claim, state }: Basis,
): Promise<Record<string, unknown>> {
  const { settings } = deps
  const { zoneId } = request.caller
  const { applicationId, parentId } = request
  const { facts, parent, inbound, epoch } = state
  const { record } = facts
  checkApplication(request, facts)
  if (record === null) {
    throw refuse('session_not_found', { body: { detail: 'the subject authority record is not active' } })
  }
  checkSubjectProof(deps, request, recordId, record, proof)
  checkCapacity(deps, facts)
  const depth = checkParent(deps, request, parent)
  const inherited =
    inheritsFrom(request) === null ? null : chooseInherited(inbound, request.inheritParentEdgeId)

  const session = {
    id: uuidv7(),
    zoneId,
    applicationId,
    authorityRecordId: recordId,
    parentId,
    depth,
    labels: request.labels,
    lifecycle: request.lifecycle,
    ttlSeconds: request.ttlSeconds,
    leaseSeconds: settings.SERVICE_AGENT_LEASE_SECONDS,
    maxChildren: settings.MAX_AGENT_CHILDREN,
    metadata: request.metadata,
  }
  const edge = inherited === null ? null : mirrorOf(inherited, session)
  const body = startedView(newIdentity(session, facts.at), edge?.id ?? null)
  const origin = { zoneId, requestId: request.requestId }
  insertSession(tx, session)
  if (edge !== null) insertEdge(tx, edge)
  claim?.store({ resourceType: 'session', resourceId: session.id, body })
  state.record({ status: 201, entityId: session.id })
  await deps.outbox.enqueue(tx, 'coordinator', [
    ...started(deps.keys.audit, origin, session),
    ...(edge === null ? [] : edgeCreated(deps.keys.audit, origin, edge, epoch ?? 1)),
  ])
  return body
}

/** The row as it was inserted, for the answer and its receipt. */
function newIdentity(session: NewSession, at: Date): SessionIdentity {
  const service = session.lifecycle === 'service'
  return {
    id: session.id,
    zone_id: session.zoneId,
    application_id: session.applicationId,
    parent_id: session.parentId,
    session_sid: session.authorityRecordId,
    lifecycle: session.lifecycle,
    labels: session.labels,
    status: 'active',
    depth: session.depth,
    ttl_seconds: session.ttlSeconds,
    spawned_at: at,
    last_heartbeat_at: service ? at : null,
    heartbeat_deadline_at: service ? new Date(at.getTime() + session.leaseSeconds * 1000) : null,
    lease_generation: service ? 1 : 0,
  }
}

async function claimStart(deps: CoordinatorContext, tx: Tx, request: StartRequest): Promise<Claim | null> {
  if (request.idempotency === null) return null
  const { settings } = deps
  return claimKey(deps, tx, {
    operation: 'session.start.v2',
    zoneId: request.caller.zoneId,
    scopeId: request.applicationId,
    key: request.idempotency.key,
    fingerprint: {
      principal: { client_id: request.caller.clientId, subject: request.caller.subject },
      application_id: request.applicationId,
      // Only what was sent: every new mandate brings another default (coordinator §5.3).
      subject_authority_record_id: request.subjectSessionId,
      parent_id: request.parentId,
      lifecycle: request.lifecycle,
      labels: request.labels,
      ttl_seconds: request.ttlSeconds,
      parent_authority: request.parentAuthority,
      inherit_parent_edge_id: request.inheritParentEdgeId,
      metadata: request.metadata,
    },
    retentionSeconds: request.idempotency.generated
      ? settings.GENERATED_IDEMPOTENCY_RETENTION_SECONDS
      : settings.IDEMPOTENCY_RETENTION_SECONDS,
    maxReceipts: settings.IDEMPOTENCY_MAX_RECEIPTS_PER_SCOPE,
  })
}

function checkApplication(request: StartRequest, { registration }: StartFacts): void {
  if (registration === null) throw refuse('application_not_found')
  if (registration !== 'dcr') return
  if (request.lifecycle === 'service') throw refuse('dcr_application_cannot_host_service')
  if (request.parentId !== null) throw refuse('dcr_application_cannot_be_child')
}

function checkCapacity(deps: CoordinatorContext, facts: StartFacts): void {
  const { MAX_AGENTS_PER_ZONE: zoneLimit, MAX_AGENTS_PER_APP: applicationLimit } = deps.settings
  if (facts.liveInZone >= zoneLimit) {
    throw refuse('session_zone_limit_exceeded', {
      message: `The zone has ${zoneLimit} live sessions (MAX_AGENTS_PER_ZONE)`,
    })
  }
  if (facts.registration === 'dcr' && facts.liveOfApplication > 0) {
    throw refuse('dcr_application_already_bound')
  }
  if (facts.liveOfApplication >= applicationLimit) {
    throw refuse('session_limit_exceeded', {
      message: `The application has ${applicationLimit} live sessions (MAX_AGENTS_PER_APP)`,
    })
  }
}

/** The child's depth; throws when the parent cannot take it. */
function checkParent(deps: CoordinatorContext, request: StartRequest, parent: ParentRow | null): number {
  if (request.parentId === null) return 0
  if (parent === null || parent.status !== 'active') throw refuse('parent_not_found')
  if (parent.registration_method === 'dcr') throw refuse('dcr_application_cannot_start_child')
  if (parent.lifecycle === 'task' && request.lifecycle === 'service') {
    throw refuse('task_session_cannot_start_service')
  }
  if (
    parent.application_id !== request.applicationId &&
    !maySpawnUnder(request.caller, parent.application_id)
  ) {
    throw refuse('parent_ownership_required')
  }
  if (parent.child_count >= parent.max_children) {
    throw refuse('session_children_limit_exceeded', {
      message: `The parent has ${parent.max_children} live children (MAX_AGENT_CHILDREN)`,
    })
  }
  if (parent.depth + 1 > deps.settings.MAX_AGENT_DEPTH) {
    throw refuse('session_depth_limit_exceeded', {
      message: `Sessions nest at most ${deps.settings.MAX_AGENT_DEPTH} deep (MAX_AGENT_DEPTH)`,
    })
  }
  return parent.depth + 1
}
