/**
 * When a governed session and an authority record are alive (sts §5.3), judged on
 * one snapshot. The insert repeats the same rules in SQL (`store/issue-records.ts`).
 */
import type { RecordState, SessionState } from './store/snapshot.ts'

export function recordAlive(record: RecordState, now: number): boolean {
  return record.status === 'active' && record.expires_at > now
}

/** Why a session may not mint now, or `null` when it may. */
export function sessionProblem(session: SessionState, now: number): string | null {
  if (session.status !== 'active') return `session is ${session.status}`
  const { record } = session
  if (record === null) return 'session has no authority record'
  // An application's own record runs out long before its sessions do; revoking it ends them all the same.
  if (record.session_type === 'user' ? !recordAlive(record, now) : record.status === 'revoked') {
    return 'authority record of the session is not active'
  }
  if (session.lifecycle === 'service') {
    return session.heartbeat_deadline_at !== null && session.heartbeat_deadline_at > now
      ? null
      : 'service lease has run out'
  }
  const ttl = session.ttl_seconds ?? 0
  return ttl > 0 && session.started_at + ttl * 1000 > now ? null : 'session time to live has run out'
}
