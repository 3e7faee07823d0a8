/** `DELETE …/agents/:id` (coordinator §4.7). Its transaction may be that of other changes too (`change-sessions.ts`). */
import { isAdmin, mayManage, type Recorded } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { refuse } from './refusal.ts'
import type { EndFacts } from './store/sessions.ts'

export interface TerminateRequest extends Recorded {
  readonly sessionId: string
  readonly reason: string
  readonly leaseGeneration: number | null
}

/** Ends the session and its subtree. Throws 404 when nothing was live, 403 and 409 as the spec says. */
export const terminateSession = (deps: CoordinatorContext, request: TerminateRequest): Promise<void> =>
  deps.changes.end({ kind: 'end', request })

/** Throws the refusal of the first check that fails. `ended`: the session was live, and its caller could end it. */
export function checkEnd(
  { caller, leaseGeneration }: TerminateRequest,
  session: EndFacts | null,
  ended: boolean,
): void {
  if (session === null) throw refuse('session_not_found')
  if (!mayManage(caller, session.application_id)) throw refuse('application_ownership_required')
  if (session.lifecycle === 'service' && !isAdmin(caller)) {
    if (leaseGeneration === null) throw refuse('lease_generation_required')
    if (leaseGeneration !== Number(session.lease_generation)) throw refuse('session_lease_fenced')
  }
  if (!ended) throw refuse('session_not_found')
}
