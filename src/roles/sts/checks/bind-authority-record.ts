/**
 * Steps E3–E6: the presented mandate's authority record is alive and belongs to
 * the presenter; its ids become the effective ones of the exchange.
 */
import { recordAlive } from '../alive.ts'
import type { Exchange } from '../exchange-state.ts'
import { accessDenied } from '../refusal.ts'

export function bindAuthorityRecord(x: Exchange): void {
  const { presented, request } = x
  if (presented === null) return
  if (request.sessionId !== null && request.sessionId !== presented.sid) {
    throw accessDenied('session_id does not match the subject token')
  }
  const { record } = x.snapshot
  if (record === null || record.id !== presented.sid || !recordAlive(record, x.snapshot.now)) {
    throw accessDenied('authority record inactive or expired')
  }
  if (record.subject_id !== presented.sub) throw accessDenied('authority record subject mismatch')
  if (presented.claims.client_id !== x.application.id) {
    throw accessDenied('authority record client mismatch')
  }
  x.recordId = record.id
  x.record = record
  x.agentSessionId = agreed(presented.claims.agent_session_id, request.agentSessionId, 'agent_session_id')
  x.delegationEdgeId = agreed(
    presented.claims.delegation_edge_id,
    request.delegationEdgeId,
    'delegation_edge_id',
  )
}

/** What the token carries wins; a form value that says something else is a mismatch. */
function agreed(carried: unknown, requested: string | null, name: string): string | null {
  if (typeof carried !== 'string' || carried === '') return requested
  if (requested !== null && requested !== carried) {
    throw accessDenied(`${name} does not match the subject token`)
  }
  return carried
}
