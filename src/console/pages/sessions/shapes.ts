/** Sessions and delegations as the coordinator shows them, in the words of this console. */
import type { Tone } from '../../ui/basics.tsx'
import type { Names } from '../../ui/names.tsx'

export interface Session {
  readonly id: string
  readonly application_id: string
  readonly parent_id: string | null
  readonly subject_authority_record_id: string
  readonly lifecycle: 'task' | 'service'
  readonly labels: readonly string[]
  readonly status: 'active' | 'suspended' | 'terminated' | 'expired'
  readonly depth: number
  readonly ttl_seconds: number | null
  readonly started_at: string
  readonly last_heartbeat_at: string | null
  readonly heartbeat_deadline_at: string | null
  readonly lease_generation: number
  readonly metadata: Readonly<Record<string, unknown>> | null
  readonly suspended_at: string | null
  readonly terminated_at: string | null
  readonly termination_reason: string | null
}

export interface Delegation {
  readonly id: string
  readonly source_session_id: string
  readonly target_session_id: string
  readonly issuer_application_id: string
  readonly receiver_application_id: string
  readonly parent_edge_id: string | null
  readonly resource_id: string | null
  readonly scopes: readonly string[]
  readonly constraints_json: Readonly<Record<string, unknown>>
  readonly status: 'active' | 'revoked' | 'expired'
  readonly expires_at: string
  readonly revoked_at: string | null
  readonly created_at: string
}

/** A list of the page's tabs. */
export interface ListProps {
  readonly zoneId: string
  readonly names: Names
}

export const tones: Readonly<Record<string, Tone>> = {
  active: 'ok',
  suspended: 'warn',
  terminated: 'idle',
  expired: 'idle',
  revoked: 'bad',
}

export const isLive = ({ status }: Session): boolean => status === 'active' || status === 'suspended'

/** What the session said it is for. */
export function taskOf({ metadata }: Session): string | null {
  const task = metadata?.task
  return typeof task === 'string' && task !== '' ? task : null
}

/** When it ends of itself: a task by its time to live, a service when it stops renewing its lease. */
export function endOf(session: Session): string | null {
  if (session.lifecycle === 'service') return session.heartbeat_deadline_at
  if (session.ttl_seconds === null) return null
  return new Date(Date.parse(session.started_at) + session.ttl_seconds * 1000).toISOString()
}
