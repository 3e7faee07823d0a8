/** The heartbeat lease of service sessions: what decides a renewal, and the fenced updates. */
import type { Tx } from '../../../platform/db/port.ts'
import type { SessionRow } from './sessions.ts'

export interface LeaseFacts {
  readonly application_id: string
  readonly status: SessionRow['status']
  readonly lifecycle: SessionRow['lifecycle']
  readonly lease_generation: string
  readonly lease_expired: boolean
  /** The session stands on a federated user whose authority record is not active any more. */
  readonly subject_inactive: boolean
  /** The caller's own authority record is live and belongs to the session's application. */
  readonly holder_live: boolean
}

/**
 * What a lease or heartbeat is decided on, in one statement; `holderRecordId` is the caller's `sid`. The
 * session stays locked as its renewal will lock it: callers of one moment go one after the other.
 */
export async function readLeaseFacts(
  tx: Tx,
  zoneId: string,
  sessionId: string,
  holderRecordId: string | null,
): Promise<LeaseFacts | null> {
  const [row] = await tx.sql<LeaseFacts[]>`
    select
      session.application_id,
      session.status,
      session.lifecycle,
      session.lease_generation,
      coalesce(session.heartbeat_deadline_at <= statement_timestamp(), false) as lease_expired,
      subject.session_type = 'user'
        and not (subject.status = 'active' and subject.expires_at > statement_timestamp()) as subject_inactive,
      exists (
        select 1
        from authority_records as holder
        where holder.zone_id = ${zoneId}
          and holder.id = ${holderRecordId}
          and holder.session_type = 'application'
          and holder.subject_id = session.application_id
          and holder.status = 'active'
          and holder.expires_at > statement_timestamp()
      ) as holder_live
    from agent_sessions as session
    join authority_records as subject
      on subject.zone_id = session.zone_id
      and subject.id = session.session_sid
    where session.zone_id = ${zoneId}
      and session.id = ${sessionId}
    for no key update of session`
  return row ?? null
}

export interface LeaseRow {
  readonly id: string
  readonly zone_id: string
  readonly application_id: string
  readonly status: SessionRow['status']
  readonly last_active_at: Date
  readonly last_heartbeat_at: Date
  readonly heartbeat_deadline_at: Date
  readonly lease_generation: string
}

export interface Renewal {
  readonly zoneId: string
  readonly sessionId: string
  /** The generation the caller holds; another one in the row changes nothing. */
  readonly generation: string
  /** 1 takes the lease over, 0 renews it. */
  readonly raise: 0 | 1
  readonly leaseSeconds: number
}

/** Null when the lease is fenced, was lost meanwhile, or the session ended. */
export async function renewLease(tx: Tx, renewal: Renewal): Promise<LeaseRow | null> {
  const [row] = await tx.sql<LeaseRow[]>`
    update agent_sessions
    set lease_generation = lease_generation + ${renewal.raise},
        last_active_at = statement_timestamp(),
        last_heartbeat_at = statement_timestamp(),
        heartbeat_deadline_at = statement_timestamp() + make_interval(secs => ${renewal.leaseSeconds}),
        updated_at = statement_timestamp()
    where zone_id = ${renewal.zoneId}
      and id = ${renewal.sessionId}
      and lifecycle = 'service'
      and lease_generation = ${renewal.generation}::bigint
      and (status = 'suspended' or (status = 'active' and heartbeat_deadline_at > statement_timestamp()))
    returning id, zone_id, application_id, status, last_active_at, last_heartbeat_at, heartbeat_deadline_at,
      lease_generation`
  return row ?? null
}
