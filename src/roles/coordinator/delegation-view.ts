import { iso } from './session-view.ts'
import type { EdgeRow } from './store/edges.ts'

/** A delegation under v1's names and the seed's aliases (coordinator §8.1). */
export function delegationView(row: EdgeRow): Record<string, unknown> {
  return {
    id: row.id,
    delegation_edge_id: row.id,
    zone_id: row.zone_id,
    source_session_id: row.source_agent_id,
    source_agent_id: row.source_agent_id,
    target_session_id: row.target_agent_id,
    target_agent_id: row.target_agent_id,
    issuer_application_id: row.issuer_application_id,
    receiver_application_id: row.receiver_application_id,
    parent_edge_id: row.parent_edge_id,
    resource_id: row.resource_id,
    scopes: row.scopes,
    constraints_json: row.constraints_json,
    status: row.status,
    expires_at: iso(row.expires_at),
    edge_version: row.edge_version,
    revoked_at: iso(row.revoked_at),
    created_at: iso(row.created_at),
  }
}
