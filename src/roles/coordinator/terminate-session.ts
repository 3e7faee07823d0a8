/** `DELETE …/agents/:id` (coordinator §4.7). */
import { type Asked, isAdmin, mayManage } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { endSessions } from './end-sessions.ts'
import { refuse } from './refusal.ts'
import { lockZone } from './store/locks.ts'
import { findSessionForUpdate } from './store/sessions.ts'

export interface TerminateRequest extends Asked {
  readonly sessionId: string
  readonly reason: string
  readonly leaseGeneration: number | null
}

/**
 * Ends the session and its subtree. Throws 404 when nothing was live, 403 and 409 as the spec says.
 * Round trips: locks and session, cascade, events; one more where an edge was cut. `begin` and `commit` travel along.
 */
export async function terminateSession(deps: CoordinatorContext, request: TerminateRequest): Promise<void> {
  const { caller, sessionId, requestId } = request
  const { zoneId } = caller
  await deps.outbox.transaction(deps.db, async (tx) => {
    const [, session] = await Promise.all([lockZone(tx, zoneId), findSessionForUpdate(tx, zoneId, sessionId)])
    if (session === null) throw refuse('session_not_found')
    if (!mayManage(caller, session.application_id)) throw refuse('application_ownership_required')
    if (session.lifecycle === 'service' && !isAdmin(caller)) {
      if (request.leaseGeneration === null) throw refuse('lease_generation_required')
      if (request.leaseGeneration !== Number(session.lease_generation)) throw refuse('session_lease_fenced')
    }
    const { sessions } = await endSessions(deps, tx, { zoneId, requestId }, [sessionId], request.reason)
    if (sessions.length === 0) throw refuse('session_not_found')
  })
}
