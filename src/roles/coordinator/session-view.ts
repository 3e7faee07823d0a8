import type { SessionRow } from './store/sessions.ts'

/** What every answer about a session shows. */
export type SessionIdentity = Pick<
  SessionRow,
  | 'id'
  | 'zone_id'
  | 'application_id'
  | 'parent_id'
  | 'session_sid'
  | 'lifecycle'
  | 'status'
  | 'depth'
  | 'ttl_seconds'
  | 'spawned_at'
  | 'last_heartbeat_at'
  | 'heartbeat_deadline_at'
> & { readonly labels: readonly string[]; readonly lease_generation: number | string }

/** A session as every read returns it, under v1's names and the seed's aliases (coordinator §4.1). */
export function sessionView(row: SessionRow): Record<string, unknown> {
  return {
    ...identity(row),
    metadata: row.metadata_json ?? null,
    suspended_at: iso(row.suspended_at),
    terminated_at: iso(row.terminated_at),
    termination_reason: row.termination_reason,
  }
}

/** The answer of a start: no metadata (it may be stored in a receipt), plus the inherited edge. */
export function startedView(row: SessionIdentity, delegationEdgeId: string | null): Record<string, unknown> {
  return { ...identity(row), delegation_edge_id: delegationEdgeId }
}

function identity(row: SessionIdentity): Record<string, unknown> {
  const started = iso(row.spawned_at)
  return {
    agent_session_id: row.id,
    id: row.id,
    zone_id: row.zone_id,
    application_id: row.application_id,
    parent_id: row.parent_id,
    subject_authority_record_id: row.session_sid,
    session_sid: row.session_sid,
    lifecycle: row.lifecycle,
    labels: row.labels,
    capabilities: row.labels,
    status: row.status,
    depth: row.depth,
    ttl_seconds: row.ttl_seconds,
    started_at: started,
    spawned_at: started,
    last_heartbeat_at: iso(row.last_heartbeat_at),
    heartbeat_deadline_at: iso(row.heartbeat_deadline_at),
    lease_generation: Number(row.lease_generation),
  }
}

export function iso(date: Date | null): string | null {
  return date === null ? null : date.toISOString()
}
