/** A child that starts under a parent takes over the parent's authority as it is (coordinator §4.5). Pure. */
import { uuidv7 } from '../../platform/ids.ts'
import { refuse } from './refusal.ts'
import type { InboundEdge, NewEdge } from './store/edges.ts'

/**
 * The parent's one live edge. Null when it holds none for the child's application and none was
 * asked for. Throws 409 when the edge asked for is not live or the choice is ambiguous.
 */
export function chooseInherited(
  inbound: readonly InboundEdge[],
  wantedEdgeId: string | null,
): InboundEdge | null {
  const candidates = wantedEdgeId === null ? inbound : inbound.filter((edge) => edge.id === wantedEdgeId)
  if (candidates.length === 0 && wantedEdgeId === null) return null
  const live = candidates.filter((edge) => edge.live)
  const [edge] = live
  if (edge === undefined) throw refuse('inherit_parent_edge_not_active')
  if (live.length > 1) throw refuse('inherit_parent_edge_ambiguous')
  return edge
}

/** The same authority one step further: resource, scopes, constraints and expiry are the parent edge's. */
export function mirrorOf(
  edge: InboundEdge,
  child: { readonly id: string; readonly applicationId: string },
): NewEdge {
  return {
    id: uuidv7(),
    zoneId: edge.zone_id,
    sourceSessionId: edge.target_agent_id,
    targetSessionId: child.id,
    issuerApplicationId: edge.receiver_application_id,
    receiverApplicationId: child.applicationId,
    resourceId: edge.resource_id,
    parentEdgeId: edge.id,
    scopes: edge.scopes,
    constraints: edge.constraints_json,
    expiresAt: edge.expires_at,
  }
}
