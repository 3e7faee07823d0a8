/**
 * Every event the coordinator publishes (coordinator §10), as rows for the outbox of the
 * transaction that makes them true. Dedupe keys are those of audit-and-events §10.1.
 */
import { uuidv7 } from '../../platform/ids.ts'
import type { HmacKey } from '../../platform/keys.ts'
import type { OutboxEvent } from '../../platform/outbox/port.ts'
import { auditOutboxEvent } from '../audit/index.ts'
import type { EndedSession, RevokedEdge } from './store/cascade.ts'

const lifecycle = 'caracal.agents.lifecycle'
const revocations = 'caracal.sessions.revoke'
const delegations = 'caracal.delegations.invalidate'
const policy = 'caracal.policy.invalidate'

export interface Origin {
  readonly zoneId: string
  readonly requestId: string
}

export function spawned(
  origin: Origin,
  session: { readonly id: string; readonly parentId: string | null; readonly applicationId: string },
): OutboxEvent {
  return event(origin, lifecycle, `spawn:${session.id}`, {
    event: 'spawn',
    agent_session_id: session.id,
    parent_id: session.parentId,
    application_id: session.applicationId,
  })
}

export function ended(origin: Origin, session: EndedSession): OutboxEvent[] {
  const reason = oneLine(session.termination_reason)
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
  ]
}

export function edgeCreated(origin: Origin, edge: RevokedEdge, epoch: number): OutboxEvent[] {
  return [
    event(origin, delegations, `edge_create:${edge.id}`, {
      event: 'edge_create',
      edge_id: edge.id,
      source_session_id: edge.source_agent_id,
      target_session_id: edge.target_agent_id,
      epoch,
    }),
    event(origin, policy, `edge_create:${edge.id}`, {
      reason: 'delegation_change',
      event: 'edge_create',
      edge_id: edge.id,
      epoch,
    }),
  ]
}

/** One pair for each revoked edge; a target that is still alive is never named, since every anchor counts as revoked. */
export function edgesRevoked(
  origin: Origin,
  edges: readonly RevokedEdge[],
  endedSessions: readonly EndedSession[],
  epoch: number,
  extra: Readonly<Record<string, unknown>>,
): OutboxEvent[] {
  if (edges.length === 0) return []
  const ends = new Map(endedSessions.map((session) => [session.id, session]))
  const events = edges.flatMap((edge) => {
    const target = ends.get(edge.target_agent_id)
    return [
      event(origin, delegations, `edge_revoke:${edge.id}`, {
        event: 'edge_revoke',
        edge_id: edge.id,
        epoch,
        ...extra,
      }),
      event(origin, revocations, `delegation:${edge.id}:session:${edge.target_agent_id}`, {
        delegation_edge_id: edge.id,
        agent_session_id: target?.id,
        session_id: target?.revokes_record === true ? target.session_sid : null,
        reason: 'delegation_revoked',
      }),
    ]
  })
  events.push(
    event(origin, policy, `delegation_epoch:${origin.zoneId}:${epoch}`, {
      reason: 'delegation_change',
      event: 'edge_revoke',
      epoch,
      edge_id: edges.length === 1 ? edges[0]?.id : null,
    }),
  )
  return events
}

/** Evidence of a change of sessions or delegations (audit-and-events §3.6). */
export function recorded(
  key: HmacKey,
  origin: Origin,
  eventType: 'session_start' | 'session_terminate' | 'delegation_create' | 'delegation_revoke',
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

function event(
  origin: Origin,
  topic: string,
  dedupeKey: string,
  payload: Readonly<Record<string, unknown>>,
): OutboxEvent {
  return { topic, dedupeKey, requestId: origin.requestId, payload: { zone_id: origin.zoneId, ...payload } }
}

/** Stream signatures do not escape values: free text must not contain line breaks. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ')
}
