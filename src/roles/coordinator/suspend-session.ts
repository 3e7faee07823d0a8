/** Suspend and resume (coordinator §4.7): reversible, so nothing here revokes anything. */

import type { Tx } from '../../platform/db/port.ts'
import { lockSpawn } from '../../platform/db/zone-locks.ts'
import { type Asked, mayManage } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { type Origin, suspendedOrResumed } from './events.ts'
import { refuse } from './refusal.ts'
import { sessionView } from './session-view.ts'
import { findSession, findSessionForUpdate } from './store/sessions.ts'
import { lapsedServices, resumeSubtrees, suspendSubtrees } from './store/suspension.ts'

const heartbeatLost = 'service_heartbeat_lost'

export interface SuspensionRequest extends Asked {
  readonly sessionId: string
}

/** Suspends the session and what is active below it; the answer counts them and shows the session. */
export function suspendSession(
  deps: CoordinatorContext,
  request: SuspensionRequest,
): Promise<Record<string, unknown>> {
  return change(deps, request, async (tx, origin) => {
    const sessions = await suspendSubtrees(tx, origin.zoneId, [request.sessionId])
    if (sessions.length === 0) throw refuse('session_not_found_or_not_active')
    const events = suspendedOrResumed(deps.keys.audit, origin, 'suspend', sessions, 'requested')
    await deps.outbox.enqueue(tx, 'coordinator', events)
    return { suspended: sessions.length }
  })
}

/** Resumes the session and the suspended sessions connected to it. */
export function resumeSession(
  deps: CoordinatorContext,
  request: SuspensionRequest,
): Promise<Record<string, unknown>> {
  return change(deps, request, async (tx, origin) => {
    const { SERVICE_AGENT_LEASE_SECONDS: leaseSeconds } = deps.settings
    const sessions = await resumeSubtrees(tx, origin.zoneId, [request.sessionId], leaseSeconds)
    if (sessions.length === 0) throw refuse('session_not_found_or_not_suspended')
    const events = suspendedOrResumed(deps.keys.audit, origin, 'resume', sessions, null)
    await deps.outbox.enqueue(tx, 'coordinator', events)
    return { resumed: sessions.length }
  })
}

function change(
  deps: CoordinatorContext,
  { requestId, caller, sessionId }: SuspensionRequest,
  apply: (tx: Tx, origin: Origin) => Promise<Record<string, number>>,
): Promise<Record<string, unknown>> {
  const { zoneId } = caller
  return deps.outbox.transaction(deps.db, async (tx) => {
    const [, session] = await Promise.all([
      lockSpawn(tx, zoneId),
      findSessionForUpdate(tx, zoneId, sessionId),
    ])
    if (session === null) throw refuse('session_not_found')
    if (!mayManage(caller, session.application_id)) throw refuse('application_ownership_required')
    const counted = await apply(tx, { zoneId, requestId })
    const now = await findSession(tx, zoneId, sessionId)
    return { ...(now === null ? {} : sessionView(now)), ...counted }
  })
}

/**
 * Suspends services of the zone that missed their lease, at most `limit`; `only` narrows it to one.
 * Answers how many sessions were suspended with them. The caller holds the spawn lock.
 */
export async function suspendLapsed(
  deps: Pick<CoordinatorContext, 'outbox' | 'keys'>,
  tx: Tx,
  origin: Origin,
  limit: number,
  only: string | null = null,
): Promise<number> {
  const lapsed = await lapsedServices(tx, origin.zoneId, limit, only)
  if (lapsed.length === 0) return 0
  const sessions = await suspendSubtrees(tx, origin.zoneId, lapsed)
  const events = suspendedOrResumed(deps.keys.audit, origin, 'suspend', sessions, heartbeatLost)
  await deps.outbox.enqueue(tx, 'coordinator', events)
  return sessions.length
}
