import type { Tx } from '../../../platform/db/port.ts'
import type { AuthorityRecord } from './references.ts'
import { holdsSlot, type SessionRow, sessionColumns } from './sessions.ts'

export interface StartFacts {
  /** The transaction's `now()`: every time the new rows will carry. */
  readonly at: Date
  /** Null unless the application is in the zone, not archived and not past its expiry. */
  readonly registration: 'managed' | 'dcr' | null
  /** Null unless the authority record is active and unexpired. */
  readonly record: AuthorityRecord | null
  readonly liveInZone: number
  readonly liveOfApplication: number
}

/**
 * What a start is decided on, in one statement. The counts are exact only under the spawn lock;
 * index (zone_id, status).
 */
export async function readStartFacts(
  tx: Tx,
  zoneId: string,
  applicationId: string,
  recordId: string,
): Promise<StartFacts> {
  const [row] = await tx.sql<StartFacts[]>`
    select
      now() as at,
      (
        select registration_method
        from applications
        where zone_id = ${zoneId}
          and id = ${applicationId}
          and archived_at is null
          and (expires_at is null or expires_at > statement_timestamp())
      ) as registration,
      (
        select jsonb_build_object('session_type', session_type, 'subject_id', subject_id)
        from authority_records
        where zone_id = ${zoneId}
          and id = ${recordId}
          and status = 'active'
          and expires_at > statement_timestamp()
      ) as record,
      live.in_zone as "liveInZone",
      live.of_application as "liveOfApplication"
    from (
      select
        count(*)::int as in_zone,
        count(*) filter (where application_id = ${applicationId})::int as of_application
      from agent_sessions
      where zone_id = ${zoneId}
        and ${holdsSlot(tx.sql)}
    ) as live`
  if (row === undefined) throw new Error('the start statement returned no row')
  return row
}

export interface ParentRow extends SessionRow {
  readonly registration_method: 'managed' | 'dcr'
}

/** The parent with how its application was registered, locked until the transaction ends. */
export async function findParentForUpdate(tx: Tx, zoneId: string, id: string): Promise<ParentRow | null> {
  const [row] = await tx.sql<ParentRow[]>`
    select
      ${sessionColumns(tx.sql)},
      (
        select registration_method
        from applications
        where applications.zone_id = agent_sessions.zone_id
          and applications.id = agent_sessions.application_id
      ) as registration_method
    from agent_sessions
    where zone_id = ${zoneId}
      and id = ${id}
    for update`
  return row ?? null
}
