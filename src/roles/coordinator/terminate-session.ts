/** `DELETE …/agents/:id` (coordinator §4.7). */
import { type Caller, isAdmin, mayManage } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { endSessions } from './end-sessions.ts'
import { refuse } from './refusal.ts'
import { lockGraph, lockSpawn } from './store/locks.ts'
import { findSessionForUpdate } from './store/sessions.ts'

export interface TerminateRequest {
  readonly requestId: string
  readonly caller: Caller
  readonly sessionId: string
  readonly reason: string
  readonly leaseGeneration: number | null
}

/** Ends the session and its subtree. Throws 404 when nothing was live, 403 and 409 as the spec says. */
export async function terminateSession(deps: CoordinatorContext, request: TerminateRequest): Promise<void> {
  const { caller, sessionId } = request
  await deps.db.transaction(async (tx) => {
    await lockSpawn(tx, caller.zoneId)
    await lockGraph(tx, caller.zoneId)
    const session = await findSessionForUpdate(tx, caller.zoneId, sessionId)
    if (session === null) throw refuse('session_not_found')
    if (!mayManage(caller, session.application_id)) throw refuse('application_ownership_required')
    if (session.lifecycle === 'service' && !isAdmin(caller)) {
      if (request.leaseGeneration === null) throw refuse('lease_generation_required')
      if (request.leaseGeneration !== Number(session.lease_generation)) throw refuse('session_lease_fenced')
    }
    const origin = { zoneId: caller.zoneId, requestId: request.requestId }
    const { sessions } = await endSessions(deps, tx, origin, [sessionId], request.reason)
    if (sessions.length === 0) throw refuse('session_not_found')
  })
}
