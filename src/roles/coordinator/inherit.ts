/** A child that starts under a parent takes over the parent's authority as it is (coordinator §4.5). */

import type { Tx } from '../../platform/db/port.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { refuse } from './refusal.ts'
import { type EdgeRow, inboundFor, insertEdge } from './store/edges.ts'
import type { SessionRow } from './store/sessions.ts'

/**
 * Mirrors the parent's one live edge onto the child. Null when the parent holds none and none was
 * asked for. Throws 409 when the edge asked for is not live or the choice is ambiguous.
 * Only under the graph lock.
 */
export async function inheritEdge(
  tx: Tx,
  parent: SessionRow,
  child: { readonly id: string; readonly applicationId: string },
  wantedEdgeId: string | null,
): Promise<EdgeRow | null> {
  const inbound = await inboundFor(tx, parent.zone_id, parent.id, child.applicationId)
  const candidates = wantedEdgeId === null ? inbound : inbound.filter((edge) => edge.id === wantedEdgeId)
  if (candidates.length === 0 && wantedEdgeId === null) return null
  const live = candidates.filter((edge) => edge.live)
  const [edge] = live
  if (edge === undefined) throw refuse('inherit_parent_edge_not_active')
  if (live.length > 1) throw refuse('inherit_parent_edge_ambiguous')
  return insertEdge(tx, {
    id: uuidv7(),
    zoneId: parent.zone_id,
    sourceSessionId: parent.id,
    targetSessionId: child.id,
    issuerApplicationId: edge.receiver_application_id,
    receiverApplicationId: child.applicationId,
    resourceId: edge.resource_id,
    parentEdgeId: edge.id,
    scopes: edge.scopes,
    constraints: edge.constraints_json,
    expiresAt: edge.expires_at,
  })
}
