/**
 * Every event the coordinator publishes (coordinator §10), as rows for the outbox of the
 * transaction that makes them true, each with its evidence (audit-and-events §3.6). Dedupe keys
 * are those of audit-and-events §10.1: what can happen twice carries its occurrence.
 */
import { uuidv7 } from '../../platform/ids.ts'
import type { HmacKey } from '../../platform/keys.ts'
import type { OutboxEvent } from '../../platform/outbox/port.ts'
import { auditOutboxEvent } from '../audit/index.ts'
import type { EndedSession, RevokedEdge } from './store/cascade.ts'
import type { NewEdge } from './store/edges.ts'
import type { NewSession } from './store/sessions.ts'
import type { ChangedSession } from './store/suspension.ts'

const lifecycle = 'caracal.agents.lifecycle'
const revocations = 'caracal.sessions.revoke'
const delegations = 'caracal.delegations.invalidate'
const policy = 'caracal.policy.invalidate'
const invocations = 'caracal.invocations.lifecycle'

export interface Origin {
  readonly zoneId: string
  readonly requestId: string
}

/** A new session. */
export function started(key: HmacKey, origin: Origin, session: NewSession): OutboxEvent[] {
  return [
    event(origin, lifecycle, `spawn:${session.id}`, {
      event: 'spawn',
      agent_session_id: session.id,
      parent_id: session.parentId,
      application_id: session.applicationId,
    }),
    recorded(key, origin, 'session_start', {
      application_id: session.applicationId,
      agent_session_id: session.id,
      session_id: session.authorityRecordId,
      agent_labels: session.labels,
    }),
  ]
}

/** Sessions that were suspended or resumed; nothing goes to the revocation stream, since this can be undone. */
export function suspendedOrResumed(
  key: HmacKey,
  origin: Origin,
  what: 'suspend' | 'resume',
  sessions: readonly ChangedSession[],
  reason: string | null,
): OutboxEvent[] {
  return sessions.flatMap((session) => [
    event(origin, lifecycle, `${what}:${session.id}:${session.occurred}`, {
      event: what,
      agent_session_id: session.id,
      parent_id: session.parent_id,
      reason,
    }),
    recorded(key, origin, `session_${what}`, { ...evidenceOf(session), reason }),
  ])
}

/** A session that ended. */
export function ended(key: HmacKey, origin: Origin, session: EndedSession): OutboxEvent[] {
  const reason = session.termination_reason
  return [
    event(origin, lifecycle, `terminate:${session.id}`, {
      event: 'terminate',
      agent_session_id: session.id,
      parent_id: session.parent_id,
      reason,
    }),
    event(origin, revocations, `agent_terminate:${session.id}`, {
      agent_session_id: session.id,
      // Named only when nothing live stands on it: naming it revokes it for good.
      session_id: session.revokes_record ? session.session_sid : null,
      reason,
    }),
    recorded(key, origin, 'session_terminate', { ...evidenceOf(session), reason }),
  ]
}

/** A new edge, delegated or mirrored, to a session that stands on `targetRecordId`; `epoch` is unchanged by it. */
export function edgeCreated(
  key: HmacKey,
  origin: Origin,
  edge: NewEdge,
  targetRecordId: string,
  epoch: number,
): OutboxEvent[] {
  return [
    event(origin, delegations, `edge_create:${edge.id}`, {
      event: 'edge_create',
      edge_id: edge.id,
      source_session_id: edge.sourceSessionId,
      target_session_id: edge.targetSessionId,
      epoch,
    }),
    event(origin, policy, `edge_create:${edge.id}`, {
      reason: 'delegation_change',
      event: 'edge_create',
      edge_id: edge.id,
      epoch,
    }),
    recorded(key, origin, 'delegation_create', {
      application_id: edge.issuerApplicationId,
      agent_session_id: edge.targetSessionId,
      session_id: targetRecordId,
      delegation_edge_id: edge.id,
    }),
  ]
}

/** What edges of one zone that a transaction revoked are told with. */
export interface Revocation {
  /** Everything that ended with them: a target that is still alive is never named, since every anchor counts as revoked. */
  readonly ended: readonly EndedSession[]
  /** As it stands after the transaction. */
  readonly epoch: number
  readonly why: { readonly reason: string } | { readonly affected_edges: number }
}

/** Edges of one zone revoked by one transaction, and the rise of its epoch. */
export function edgesRevoked(
  key: HmacKey,
  origin: Origin,
  edges: readonly RevokedEdge[],
  revocation: Revocation,
): OutboxEvent[] {
  if (edges.length === 0) return []
  return [
    ...eachRevoked(key, origin, edges, revocation),
    epochRaised(origin, 'edge_revoke', revocation.epoch, edges),
  ]
}

/** As `edgesRevoked` without the epoch, for a transaction that raises it for several changes at once. */
export function eachRevoked(
  key: HmacKey,
  origin: Origin,
  edges: readonly RevokedEdge[],
  { ended: endedSessions, epoch, why }: Revocation,
): OutboxEvent[] {
  const ends = new Map(endedSessions.map((session) => [session.id, session]))
  return edges.flatMap((edge) => {
    const target = ends.get(edge.target_agent_id)
    return [
      event(origin, delegations, `edge_revoke:${edge.id}`, {
        event: 'edge_revoke',
        edge_id: edge.id,
        epoch,
        ...why,
      }),
      event(origin, revocations, `delegation:${edge.id}:session:${edge.target_agent_id}`, {
        delegation_edge_id: edge.id,
        agent_session_id: target?.id,
        session_id: target?.revokes_record === true ? target.session_sid : null,
        reason: 'delegation_revoked',
      }),
      recorded(key, origin, 'delegation_revoke', {
        application_id: edge.issuer_application_id,
        agent_session_id: edge.target_agent_id,
        session_id: edge.target_session_sid,
        delegation_edge_id: edge.id,
        reason: 'reason' in why ? why.reason : null,
      }),
    ]
  })
}

/** Edges of one zone whose time was over; both of their sessions live on. */
export function edgesExpired(
  origin: Origin,
  edges: readonly { readonly id: string }[],
  epoch: number,
): OutboxEvent[] {
  return [
    event(origin, delegations, `edge_expire:${origin.zoneId}:${epoch}`, {
      event: 'edge_expire',
      affected_edges: edges.length,
      edge_ids: edges.map((edge) => edge.id),
      epoch,
    }),
    epochRaised(origin, 'edge_expire', epoch, edges),
  ]
}

export type InvocationEvent =
  | 'created'
  | 'started'
  | 'cancel_requested'
  | 'succeeded'
  | 'failed'
  | 'timed_out'
  | 'dead'
  | 'canceled'

/** A step of an invocation; the attempt tells repeated ones apart. */
export function invocationChanged(
  origin: Origin,
  what: InvocationEvent,
  invocation: { readonly id: string; readonly service_id: string; readonly attempts: number },
): OutboxEvent {
  const name = `invocation.${what}`
  return event(origin, invocations, `${name}:${invocation.id}:${invocation.attempts}`, {
    event: name,
    service_id: invocation.service_id,
    invocation_id: invocation.id,
  })
}

/** Told once for each rise of a zone's epoch. */
export function epochRaised(
  origin: Origin,
  what: 'edge_revoke' | 'edge_expire',
  epoch: number,
  edges: readonly { readonly id: string }[],
): OutboxEvent {
  return event(origin, policy, `delegation_epoch:${origin.zoneId}:${epoch}`, {
    reason: 'delegation_change',
    event: what,
    epoch,
    edge_id: edges.length === 1 ? edges[0]?.id : null,
  })
}

type EventType =
  | 'session_start'
  | 'session_suspend'
  | 'session_resume'
  | 'session_terminate'
  | 'delegation_create'
  | 'delegation_revoke'

function recorded(
  key: HmacKey,
  origin: Origin,
  eventType: EventType,
  metadata: Readonly<Record<string, unknown>>,
): OutboxEvent {
  return auditOutboxEvent(key, {
    id: uuidv7(),
    zone_id: origin.zoneId,
    event_type: eventType,
    request_id: origin.requestId,
    decision: 'allow',
    evaluation_status: 'complete',
    determining_policies_json: [],
    diagnostics_json: [],
    metadata_json: Object.fromEntries(
      Object.entries(metadata).filter(([, value]) => value !== null && value !== undefined),
    ),
    occurred_at: new Date().toISOString(),
  })
}

const evidenceOf = (
  session: Pick<EndedSession, 'id' | 'application_id' | 'session_sid' | 'labels'>,
): Readonly<Record<string, unknown>> => ({
  application_id: session.application_id,
  agent_session_id: session.id,
  session_id: session.session_sid,
  agent_labels: session.labels,
})

function event(
  origin: Origin,
  topic: string,
  dedupeKey: string,
  payload: Readonly<Record<string, unknown>>,
): OutboxEvent {
  return { topic, dedupeKey, requestId: origin.requestId, payload: { zone_id: origin.zoneId, ...payload } }
}
