/** `DELETE …/agents/:id` (coordinator §4.7). */
import { isAdmin, mayManage, type Recorded } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { announceEnded } from './end-sessions.ts'
import { recordedChange } from './recorded-change.ts'
import { refuse } from './refusal.ts'
import { endSubtrees } from './store/cascade.ts'
import { lockZone } from './store/locks.ts'
import { findSessionForUpdate } from './store/sessions.ts'

export interface TerminateRequest extends Recorded {
  readonly sessionId: string
  readonly reason: string
  readonly leaseGeneration: number | null
}

/**
 * Ends the session and its subtree. Throws 404 when nothing was live, 403 and 409 as the spec says.
 * Round trips: locks, session and cascade; events. One more where an edge was cut. `begin` and `commit` travel
 * along. A caller who may not is refused after the cascade, which is rolled back with the rest.
 */
export async function terminateSession(deps: CoordinatorContext, request: TerminateRequest): Promise<void> {
  const { caller, sessionId, requestId, reason } = request
  const { zoneId } = caller
  await recordedChange(deps, request.record, async (tx, open) => {
    const [, record, session, tree] = await Promise.all([
      lockZone(tx, zoneId),
      open(tx),
      findSessionForUpdate(tx, zoneId, sessionId),
      endSubtrees(tx, zoneId, [sessionId], reason),
    ])
    if (session === null) throw refuse('session_not_found')
    if (!mayManage(caller, session.application_id)) throw refuse('application_ownership_required')
    if (session.lifecycle === 'service' && !isAdmin(caller)) {
      if (request.leaseGeneration === null) throw refuse('lease_generation_required')
      if (request.leaseGeneration !== Number(session.lease_generation)) throw refuse('session_lease_fenced')
    }
    if (tree.sessions.length === 0) throw refuse('session_not_found')
    record({ status: 204 })
    await announceEnded(deps, tx, { zoneId, requestId }, tree)
  })
}
