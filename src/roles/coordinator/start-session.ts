/**
 * Starts a governed session (coordinator §4.2). One transaction: idempotency key, spawn lock,
 * checks in the order of the spec, insert, inherited edge, events, receipt. Nothing of a refused
 * start remains.
 *
 * Round trips without a key and parent: begin, lock, checks (pipelined), insert, outbox, commit.
 */

import type { Tx } from '../../platform/db/port.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { type Caller, maySpawnUnder } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { edgeCreated, recorded, spawned } from './events.ts'
import { type Claim, claimKey } from './idempotency.ts'
import { inheritEdge } from './inherit.ts'
import { refuse } from './refusal.ts'
import { startedView } from './session-view.ts'
import { currentEpoch } from './store/epochs.ts'
import { lockGraph, lockSpawn } from './store/locks.ts'
import { type ApplicationState, findApplication, findLiveRecord } from './store/references.ts'
import {
  countLive,
  findSessionForUpdate,
  insertSession,
  isSessionLive,
  type SessionCounts,
  type SessionRow,
} from './store/sessions.ts'
import { checkSubjectProof } from './subject-proof.ts'

export interface StartRequest {
  readonly requestId: string
  readonly caller: Caller
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
  const recordId = request.subjectSessionId ?? request.caller.authorityRecordId
  if (recordId === null) throw refuse('subject_session_id_required')
  return deps.db.transaction(async (tx) => {
    const claim = await claimStart(deps, tx, request)
    const { zoneId } = request.caller
    if (claim?.receipt) {
      if (!(await isSessionLive(tx, zoneId, claim.receipt.resource_id))) {
        throw refuse('idempotency_result_inactive', {
          message: 'The session this Idempotency-Key started is not live any more',
        })
      }
      return { body: claim.receipt.response_json, replayed: true }
    }
    const body = await insertStarted(deps, tx, request, recordId)
    await claim?.store({ resourceType: 'session', resourceId: String(body.agent_session_id), body })
    return { body, replayed: false }
  })
}

async function insertStarted(
  deps: CoordinatorContext,
  tx: Tx,
  request: StartRequest,
  recordId: string,
): Promise<Record<string, unknown>> {
  const { settings } = deps
  const { zoneId } = request.caller
  const inherits = request.parentId !== null && request.parentAuthority === 'inherit'
  await lockSpawn(tx, zoneId)
  // Before the parent's row is locked: a delegation takes the graph lock first and the rows after.
  if (inherits) await lockGraph(tx, zoneId)
  const [application, record, counts, parent] = await Promise.all([
    findApplication(tx, zoneId, request.applicationId),
    findLiveRecord(tx, zoneId, recordId),
    countLive(tx, zoneId, request.applicationId),
    request.parentId === null ? null : findSessionForUpdate(tx, zoneId, request.parentId),
  ])
  checkApplication(request, application)
  if (record === null) {
    throw refuse('session_not_found', { body: { detail: 'the subject authority record is not active' } })
  }
  await checkSubjectProof(deps.proof, request, recordId, record)
  checkCapacity(deps, application, counts)
  const parentApplication = parent === null ? null : await findApplication(tx, zoneId, parent.application_id)
  const depth = checkParent(deps, request, parent, parentApplication)

  const session = await insertSession(tx, {
    id: uuidv7(),
    zoneId,
    applicationId: request.applicationId,
    authorityRecordId: recordId,
    parentId: parent?.id ?? null,
    depth,
    labels: request.labels,
    lifecycle: request.lifecycle,
    ttlSeconds: request.ttlSeconds,
    leaseSeconds: settings.SERVICE_AGENT_LEASE_SECONDS,
    maxChildren: settings.MAX_AGENT_CHILDREN,
    metadata: request.metadata,
  })
  const origin = { zoneId, requestId: request.requestId }
  const events = [
    spawned(origin, { id: session.id, parentId: session.parent_id, applicationId: session.application_id }),
    recorded(deps.keys.audit, origin, 'session_start', {
      application_id: session.application_id,
      agent_session_id: session.id,
      session_id: recordId,
      agent_labels: session.labels,
    }),
  ]
  let edgeId: string | null = null
  if (parent !== null && inherits) {
    const child = { id: session.id, applicationId: session.application_id }
    const edge = await inheritEdge(tx, parent, child, request.inheritParentEdgeId)
    if (edge !== null) {
      edgeId = edge.id
      events.push(...edgeCreated(origin, edge, await currentEpoch(tx, zoneId)))
    }
  }
  await deps.outbox.enqueue(tx, 'coordinator', events)
  return startedView(session, edgeId)
}

async function claimStart(deps: CoordinatorContext, tx: Tx, request: StartRequest): Promise<Claim | null> {
  if (request.idempotency === null) return null
  const { settings, keys } = deps
  return claimKey(tx, keys.idempotency, {
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

function checkApplication(
  request: StartRequest,
  application: ApplicationState | null,
): asserts application is ApplicationState {
  if (application === null) throw refuse('application_not_found')
  if (application.registration_method !== 'dcr') return
  if (request.lifecycle === 'service') throw refuse('dcr_application_cannot_host_service')
  if (request.parentId !== null) throw refuse('dcr_application_cannot_be_child')
}

function checkCapacity(deps: CoordinatorContext, application: ApplicationState, counts: SessionCounts): void {
  const { MAX_AGENTS_PER_ZONE: zoneLimit, MAX_AGENTS_PER_APP: applicationLimit } = deps.settings
  if (counts.inZone >= zoneLimit) {
    throw refuse('session_zone_limit_exceeded', {
      message: `The zone has ${zoneLimit} live sessions (MAX_AGENTS_PER_ZONE)`,
    })
  }
  if (application.registration_method === 'dcr' && counts.ofApplication > 0) {
    throw refuse('dcr_application_already_bound')
  }
  if (counts.ofApplication >= applicationLimit) {
    throw refuse('session_limit_exceeded', {
      message: `The application has ${applicationLimit} live sessions (MAX_AGENTS_PER_APP)`,
    })
  }
}

/** The child's depth; throws when the parent cannot take it. */
function checkParent(
  deps: CoordinatorContext,
  request: StartRequest,
  parent: SessionRow | null,
  parentApplication: ApplicationState | null,
): number {
  if (request.parentId === null) return 0
  if (parent === null || parent.status !== 'active') throw refuse('parent_not_found')
  if (parentApplication?.registration_method === 'dcr') throw refuse('dcr_application_cannot_start_child')
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
