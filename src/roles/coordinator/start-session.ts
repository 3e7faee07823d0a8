/**
 * Starts a governed session (coordinator §4.2). One transaction: idempotency key, spawn lock,
 * checks in the order of the spec, insert, inherited edge, events, receipt. Nothing of a refused
 * start remains. The transaction may be that of other changes too (`change-sessions.ts`).
 */

import { uuidv7 } from '../../platform/ids.ts'
import type { OutboxEvent } from '../../platform/outbox/port.ts'
import { maySpawnUnder, type Recorded } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { edgeCreated, started } from './events.ts'
import { earlierAnswer, receiptOf, type StoredKey, storedKey, unlessInactive } from './idempotency.ts'
import { chooseInherited, mirrorOf } from './inherit.ts'
import type { Mandate } from './mandate.ts'
import { refuse } from './refusal.ts'
import { type SessionIdentity, startedView } from './session-view.ts'
import { withSpawnLease } from './spawn-lease.ts'
import type { NewEdge } from './store/edges.ts'
import type { AskedReceipt, FoundReceipt, NewReceipt } from './store/receipts.ts'
import type { NewSession } from './store/sessions.ts'
import type { AskedChild, AskedStart, Inheritable, ParentRow, StartFacts } from './store/start-facts.ts'
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
  const key = keyOf(deps, request)
  return withSpawnLease(deps, zoneId, () =>
    deps.changes.start({ kind: 'start', request, recordId, proof, key }),
  )
}

/** A start with everything that is known before its locks are held. */
export interface StartChange {
  readonly kind: 'start'
  readonly request: StartRequest
  readonly recordId: string
  readonly proof: Mandate | null
  readonly key: StoredKey | null
}

export interface Answered extends Started {
  readonly entityId: string
}

/** Everything a start writes. */
export interface StartedSession {
  readonly session: NewSession
  readonly edge: NewEdge | null
  readonly receipt: NewReceipt | null
  /** Receipts of its key that are over. */
  readonly over: readonly string[]
  readonly events: readonly OutboxEvent[]
}

/** What starts of one transaction are decided on, read under their locks, by their places. */
export interface Stand {
  readonly facts: ReadonlyMap<number, StartFacts>
  readonly receipts: ReadonlyMap<number, FoundReceipt>
  readonly parents: ReadonlyMap<string, ParentRow>
  readonly inheritable: ReadonlyMap<number, Inheritable>
  /** What was decided before in the same transaction and is not inserted yet. */
  readonly started: readonly StartedSession[]
}

export type StartDeps = Pick<CoordinatorContext, 'settings' | 'keys' | 'counts' | 'receiptCounts'>

type PlacedStart = StartChange & { readonly n: number }

const inheritsFrom = ({ parentId, parentAuthority }: StartRequest): string | null =>
  parentAuthority === 'inherit' ? parentId : null

/** What the store is asked for starts, of each kind those that need it. */
export function lineUp(
  { receiptCounts }: Pick<StartDeps, 'receiptCounts'>,
  starts: readonly PlacedStart[],
): {
  readonly facts: readonly AskedStart[]
  readonly receipts: readonly AskedReceipt[]
  readonly children: readonly AskedChild[]
} {
  return {
    facts: starts.map(({ n, request, recordId }) => ({
      n,
      zone: request.caller.zoneId,
      application: request.applicationId,
      record: recordId,
    })),
    receipts: starts.flatMap(({ n, key }) =>
      key === null
        ? []
        : {
            n,
            scope: key.scope,
            digests: key.digests,
            most: key.maxReceipts,
            known: receiptCounts.known(key.scope, key.maxReceipts),
          },
    ),
    children: starts.flatMap(({ n, request }) =>
      request.parentId === null
        ? []
        : {
            n,
            zone: request.caller.zoneId,
            parent: request.parentId,
            application: request.applicationId,
            inherits: inheritsFrom(request) !== null,
          },
    ),
  }
}

/** Throws the refusal of the first check that fails; null as `session` for an answer that was given before. */
export function decideStart(
  deps: StartDeps,
  { n, request, recordId, proof, key }: PlacedStart,
  stand: Stand,
): { readonly answer: Answered; readonly session: StartedSession | null } {
  const { settings } = deps
  const { zoneId } = request.caller
  const { applicationId, parentId } = request
  const read = stand.facts.get(n)
  const found = key === null ? null : stand.receipts.get(n)
  if (read === undefined || found === undefined) throw new Error('the facts of a start were not read')
  if (key !== null && found !== null) {
    const receipt = earlierAnswer(deps, key, withStarted(found, key, stand))
    if (receipt !== null) {
      const body = unlessInactive(receipt, found.session_live, 'session')
      return { answer: { body, replayed: true, entityId: receipt.resource_id }, session: null }
    }
  }
  const facts = countedWith(read, request, stand)
  const { record } = facts
  checkApplication(request, facts)
  if (record === null) {
    throw refuse('session_not_found', { body: { detail: 'the subject authority record is not active' } })
  }
  checkSubjectProof(deps, request, recordId, record, proof)
  checkCapacity(deps, facts)
  const depth = checkParent(deps, request, parentOf(request, stand))
  const { inbound, epoch } = stand.inheritable.get(n) ?? { inbound: [], epoch: null }
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
  return {
    answer: { body, replayed: false, entityId: session.id },
    session: {
      session,
      edge,
      receipt:
        key === null ? null : receiptOf(key, { resourceType: 'session', resourceId: session.id, body }),
      over: found?.over ?? [],
      events: [
        ...started(deps.keys.audit, origin, session),
        ...(edge === null
          ? []
          : edgeCreated(deps.keys.audit, origin, edge, session.authorityRecordId, epoch ?? 1)),
      ],
    },
  }
}

/** The receipts of the scope with those that are not inserted yet. */
function withStarted(found: FoundReceipt, { scope }: StoredKey, { started }: Stand): FoundReceipt {
  const more = started.filter(
    ({ receipt }) =>
      receipt?.scope.zoneId === scope.zoneId &&
      receipt.scope.scopeId === scope.scopeId &&
      receipt.scope.operation === scope.operation,
  )
  return { ...found, live: found.live + more.length }
}

/** The counts with the sessions that are not inserted yet. */
function countedWith(
  facts: StartFacts,
  { caller, applicationId }: StartRequest,
  { started }: Stand,
): StartFacts {
  const inZone = started.filter(({ session }) => session.zoneId === caller.zoneId)
  const ofApplication = inZone.filter(({ session }) => session.applicationId === applicationId)
  return {
    ...facts,
    liveInZone: facts.liveInZone + inZone.length,
    liveOfApplication: facts.liveOfApplication + ofApplication.length,
  }
}

/** The parent with the children that are not inserted yet. */
function parentOf({ caller, parentId }: StartRequest, { parents, started }: Stand): ParentRow | null {
  const parent = parentId === null ? undefined : parents.get(parentId)
  if (parent === undefined || parent.zone_id !== caller.zoneId) return null
  const more = started.filter(({ session }) => session.parentId === parentId)
  return { ...parent, child_count: parent.child_count + more.length }
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

function keyOf(deps: StartDeps, request: StartRequest): StoredKey | null {
  if (request.idempotency === null) return null
  const { settings } = deps
  return storedKey(deps, {
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

function checkCapacity(deps: StartDeps, facts: StartFacts): void {
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
function checkParent(deps: StartDeps, request: StartRequest, parent: ParentRow | null): number {
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
