/** Step G: the authority record, session and delegation the exchange refers to (sts §5.3). */
import { recordAlive, sessionProblem } from '../alive.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import type { Exchange } from '../exchange-state.ts'
import { readDelegation } from '../lineage.ts'
import { accessDenied } from '../refusal.ts'
import type { SessionState } from '../store/snapshot.ts'

export function validateReferences(x: Exchange, deps: ExchangeDeps): void {
  validateRecord(x)
  if (x.agentSessionId === null) {
    if (x.delegationEdgeId !== null) throw accessDenied('delegation_edge_id requires agent_session_id')
    return
  }
  const session = x.snapshot.sessions.find((candidate) => candidate.id === x.agentSessionId)
  x.session = ownSession(x, session)
  if (x.delegationEdgeId !== null) validateDelegation(x, x.agentSessionId, x.delegationEdgeId, deps)
}

/** G1, for a record named by the form alone; a presented mandate's record was bound in E4. */
function validateRecord(x: Exchange): void {
  const { sessionId } = x.request
  if (x.presented !== null || sessionId === null) return
  const { record } = x.snapshot
  if (record === null || record.id !== sessionId || !recordAlive(record, x.snapshot.now)) {
    throw accessDenied('authority record inactive or expired')
  }
  if (record.session_type !== 'application' || record.subject_id !== x.application.id) {
    throw accessDenied('authority record subject mismatch')
  }
  x.recordId = record.id
  x.record = record
}

/** G2: alive, of the calling application, and under the presented session's record. */
function ownSession(x: Exchange, session: SessionState | undefined): SessionState {
  const problem =
    session === undefined ? 'no such session in this zone' : sessionProblem(session, x.snapshot.now)
  if (session === undefined || problem !== null) {
    throw accessDenied('session inactive or expired', 403, { detail: problem ?? '' })
  }
  if (session.application_id !== x.application.id) throw accessDenied('session not owned by caller')
  if (x.presented?.use === 'session' && session.record?.id !== x.recordId) {
    throw accessDenied('session belongs to another authority record')
  }
  return session
}

/** G4: the whole lineage carries authority now, and what is asked for stays inside its leaf. */
function validateDelegation(x: Exchange, agentSessionId: string, edgeId: string, deps: ExchangeDeps): void {
  const delegation = readDelegation({
    snapshot: x.snapshot,
    edgeId,
    agentSessionId,
    applicationId: x.application.id,
  })
  deps.onLineageRead('broken' in delegation)
  if ('broken' in delegation) {
    throw accessDenied('delegation inactive, expired or not valid here', 403, { detail: delegation.broken })
  }
  const scopes = new Set(delegation.leaf.scopes)
  if (x.request.requestedScopes.some((scope) => !scopes.has(scope))) {
    throw accessDenied('scope exceeds the delegation')
  }
  const { ttlSeconds } = delegation.constraints
  if (ttlSeconds !== null && x.request.ttlSeconds > ttlSeconds) {
    throw accessDenied('ttl_seconds exceeds the delegation')
  }
  x.delegation = delegation
}
