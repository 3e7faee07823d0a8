/** Revokes a delegation and what was built on it (coordinator §8.6). */
import { lockAuthority } from '../../platform/db/zone-locks.ts'
import { isAdmin, mayDelegateFrom, type Recorded } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { endSessions } from './end-sessions.ts'
import { recordedChange } from './recorded-change.ts'
import { refuse } from './refusal.ts'
import { revokeReachable } from './store/cascade.ts'
import { findEdgeForUpdate } from './store/edges.ts'

export interface Revoked {
  readonly revoked_edges: number
  /** Distinct authority records of the sessions that ended. */
  readonly affected_sessions: number
  readonly terminated_sessions: number
  readonly terminated_agents: number
}

/** The edge, every edge reachable from its target, and the sessions they led to. Throws 404 and 403. */
export function revokeDelegation(
  deps: CoordinatorContext,
  { caller, requestId, edgeId, record }: Recorded & { readonly edgeId: string },
): Promise<Revoked> {
  const { zoneId } = caller
  return recordedChange(deps, record, async (tx, open) => {
    const [, write, edge] = await Promise.all([
      lockAuthority(tx, zoneId),
      open(tx),
      findEdgeForUpdate(tx, zoneId, edgeId),
    ])
    if (edge === null) throw refuse('delegation_not_found')
    if (!isAdmin(caller) && !mayDelegateFrom(caller, edge.issuer_application_id)) {
      throw refuse('issuer_ownership_required')
    }
    if (!edge.live) throw refuse('delegation_not_found')
    const reachable = await revokeReachable(tx, zoneId, edgeId)
    write({ status: 200 })
    const targets = [...new Set(reachable.map((each) => each.target_agent_id))]
    const { sessions, edges } = await endSessions(
      deps,
      tx,
      { zoneId, requestId },
      targets,
      'delegation_revoked',
      reachable,
    )
    return {
      revoked_edges: edges.length,
      affected_sessions: new Set(sessions.map((session) => session.session_sid)).size,
      terminated_sessions: sessions.length,
      terminated_agents: sessions.length,
    }
  })
}
