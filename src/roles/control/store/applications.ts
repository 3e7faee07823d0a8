/** Applications (storage-and-operations §3.1). The secret's hash is here, its custody copy in the secret store. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { Attribution } from '../route.ts'
import { archiveLive, findLive, lockLive } from './definitions.ts'
import { keyset, type Page, type PageQuery } from './page.ts'

export interface Application {
  readonly id: string
  readonly zone_id: string
  readonly name: string
  readonly registration_method: 'managed' | 'dcr'
  readonly traits: readonly string[]
  readonly expires_at: Date | null
  readonly archived_at: Date | null
  readonly created_by: string | null
  readonly created_via_operator: boolean
  readonly updated_by: string | null
  readonly updated_via_operator: boolean
  readonly created_at: Date
  readonly updated_at: Date | null
}

const columns = ({ sql }: Queryable) => sql`
  id, zone_id, name, registration_method, traits, expires_at, archived_at,
  created_by, created_via_operator, updated_by, updated_via_operator, created_at, updated_at`

export async function listApplications(
  db: Queryable,
  zoneId: string,
  status: 'active' | 'archived',
  query: PageQuery,
): Promise<Page<Application>> {
  const { sql } = db
  const keys = keyset(sql, query, ['applications', zoneId, status])
  const rows = await plannedForItsValues(sql<(Application & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position}
    from applications
    where zone_id = ${zoneId}
      and archived_at is ${status === 'active' ? sql`null` : sql`not null`}
      and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

/** An application that is not archived. */
export const findApplication = (db: Queryable, zoneId: string, id: string): Promise<Application | null> =>
  findLive(db, 'applications', columns, zoneId, id)

export const lockApplication = (tx: Tx, zoneId: string, id: string): Promise<Application | null> =>
  lockLive(tx, 'applications', columns, zoneId, id)

/**
 * Serializes everything that gives a managed application a name in the zone, so the
 * case-insensitive uniqueness check and the write that follows are one step.
 */
export async function lockApplicationNames(tx: Tx, zoneId: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtextextended(${`application_names:${zoneId}`}, 0))`
}

/** Whether another active managed application of the zone has this name in any case. */
export async function applicationNameTaken(
  db: Queryable,
  zoneId: string,
  name: string,
  exceptId: string | null,
): Promise<boolean> {
  const rows = await db.sql`
    select 1 from applications
    where zone_id = ${zoneId}
      and registration_method = 'managed'
      and archived_at is null
      and lower(name) = lower(${name})
      and id is distinct from ${exceptId}
    limit 1`
  return rows.length > 0
}

export interface NewApplication {
  readonly id: string
  readonly zoneId: string
  readonly name: string
  readonly registrationMethod: 'managed' | 'dcr'
  readonly secretHash: string
  readonly traits: readonly string[]
  /** Life of a dynamically registered application in seconds. */
  readonly expiresIn: number | null
}

export async function insertApplication(tx: Tx, app: NewApplication, by: Attribution): Promise<Application> {
  const [row] = await tx.sql<Application[]>`
    insert into applications
      (id, zone_id, name, registration_method, client_secret_hash, traits, expires_at,
       created_by, created_via_operator, updated_by, updated_via_operator, updated_at)
    values
      (${app.id}, ${app.zoneId}, ${app.name}, ${app.registrationMethod}, ${app.secretHash},
       ${app.traits as string[]}::text[],
       now() + make_interval(secs => ${app.expiresIn}::int),
       ${by.by}, ${by.viaOperator}, ${by.by}, ${by.viaOperator}, now())
    returning ${columns(tx)}`
  if (row === undefined) throw new Error('insert returned no row')
  return row
}

export interface ApplicationPatch {
  readonly name?: string | undefined
  readonly traits?: readonly string[] | undefined
  readonly secretHash?: string | undefined
}

export async function updateApplication(
  tx: Tx,
  zoneId: string,
  id: string,
  patch: ApplicationPatch,
  by: Attribution,
): Promise<Application> {
  const traits = patch.traits === undefined ? null : [...patch.traits]
  const [row] = await tx.sql<Application[]>`
    update applications set
      name = coalesce(${patch.name ?? null}, name),
      traits = coalesce(${traits}::text[], traits),
      client_secret_hash = coalesce(${patch.secretHash ?? null}, client_secret_hash),
      updated_by = ${by.by},
      updated_via_operator = ${by.viaOperator},
      updated_at = now()
    where zone_id = ${zoneId} and id = ${id}
    returning ${columns(tx)}`
  if (row === undefined) throw new Error('a locked application cannot vanish')
  return row
}

/** True when it was live and is now archived. */
export const archiveApplication = (tx: Tx, zoneId: string, id: string, by: Attribution): Promise<boolean> =>
  archiveLive(tx, 'applications', zoneId, id, by)

/** Archives every live dynamically registered application of the zone and returns their ids. */
export async function archiveDcrApplications(tx: Tx, zoneId: string, by: Attribution): Promise<string[]> {
  const rows = await tx.sql<{ id: string }[]>`
    update applications
    set archived_at = now(), updated_at = now(), updated_by = ${by.by}, updated_via_operator = ${by.viaOperator}
    where zone_id = ${zoneId} and registration_method = 'dcr' and archived_at is null and expires_at > now()
    returning id`
  return rows.map((row) => row.id)
}

/** Archives up to `limit` dynamically registered applications that expired more than a day ago. */
export async function archiveExpiredDcr(db: Queryable, limit: number): Promise<number> {
  const rows = await db.sql`
    update applications set archived_at = now(), updated_at = now()
    where id in (
      select id from applications
      where registration_method = 'dcr' and archived_at is null and expires_at < now() - interval '24 hours'
      order by expires_at
      limit ${limit}
      for update skip locked)
    returning id`
  return rows.length
}
