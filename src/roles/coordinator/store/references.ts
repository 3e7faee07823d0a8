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

export interface ResourceRef {
  readonly id: string
  readonly identifier: string
  readonly scopes: string[]
}

/** Identifiers by id, of archived resources too: what names one is bound to it all the same. */
export async function resourceIdentifiers(
  db: Queryable,
  zoneId: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map()
  const rows = await db.sql<Pick<ResourceRef, 'id' | 'identifier'>[]>`
    select id, identifier
    from resources
    where zone_id = ${zoneId}
      and id = any(${ids as string[]}::text[])`
  return new Map(rows.map(({ id, identifier }) => [id, identifier]))
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
