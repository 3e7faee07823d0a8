/** What the coordinator reads of other owners' tables: applications, authority records, resources. */
import type { Queryable } from '../../../platform/db/port.ts'

export interface ApplicationState {
  readonly registration_method: 'managed' | 'dcr'
}

/** The application if it exists in the zone, is not archived and not past its expiry. */
export async function findApplication(
  db: Queryable,
  zoneId: string,
  id: string,
): Promise<ApplicationState | null> {
  const [row] = await db.sql<ApplicationState[]>`
    select registration_method
    from applications
    where zone_id = ${zoneId}
      and id = ${id}
      and archived_at is null
      and (expires_at is null or expires_at > statement_timestamp())`
  return row ?? null
}

export interface AuthorityRecord {
  readonly session_type: 'user' | 'application'
  readonly subject_id: string | null
}

/** One round trip for the live-identity check of every call (coordinator §2.2, step 8). */
export async function isLiveIdentity(
  db: Queryable,
  zoneId: string,
  applicationId: string,
  recordId: string | null,
): Promise<boolean> {
  const [row] = await db.sql<{ alive: boolean }[]>`
    select exists (
      select 1
      from applications as application
      join zones as zone
        on zone.id = application.zone_id
        and zone.archived_at is null
      where application.zone_id = ${zoneId}
        and application.id = ${applicationId}
        and application.archived_at is null
        and (application.expires_at is null or application.expires_at > statement_timestamp())
    ) and (
      ${recordId}::text is null
      or exists (
        select 1
        from authority_records
        where zone_id = ${zoneId}
          and id = ${recordId}
          and status = 'active'
          and expires_at > statement_timestamp()
      )
    ) as alive`
  return row?.alive ?? false
}

export interface ResourceRef {
  readonly id: string
  readonly identifier: string
  readonly scopes: string[]
}

/** Unarchived resources whose row id or identifier is among `names`. */
export async function findResources(
  db: Queryable,
  zoneId: string,
  names: readonly string[],
): Promise<ResourceRef[]> {
  if (names.length === 0) return []
  const rows = await db.sql<ResourceRef[]>`
    select id, identifier, scopes
    from resources
    where zone_id = ${zoneId}
      and archived_at is null
      and (id = any(${names as string[]}::text[]) or identifier = any(${names as string[]}::text[]))`
  return [...rows]
}
