/** Zones (storage-and-operations §3.1). Slugs are unique over archived zones too, so a slug never changes owner. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { Attribution } from '../route.ts'
import { keyset, type Page, type PageQuery } from './page.ts'

export interface Zone {
  readonly id: string
  readonly name: string
  readonly slug: string
  readonly dcr_enabled: boolean
  readonly operator_coauthor_badge: boolean
  readonly operator_governed: boolean
  readonly created_by: string | null
  readonly created_via_operator: boolean
  readonly updated_by: string | null
  readonly updated_via_operator: boolean
  readonly created_at: Date
  readonly updated_at: Date
}

const columns = ({ sql }: Queryable) => sql`
  id, name, slug, dcr_enabled, operator_coauthor_badge, operator_governed,
  created_by, created_via_operator, updated_by, updated_via_operator, created_at, updated_at`

/** Which zones a principal may see: those with an id of the list, those of an account, or (`null`) every one. */
export type ZoneView = readonly string[] | { readonly owner: string } | null

function withinView({ sql }: Queryable, view: ZoneView) {
  if (view === null) return sql`true`
  return 'owner' in view ? sql`owner_account_id = ${view.owner}` : sql`id = any(${view as string[]}::text[])`
}

/** Live zones outside the reserved namespace, as far as `view` goes. */
export async function listZones(db: Queryable, query: PageQuery, view: ZoneView): Promise<Page<Zone>> {
  const { sql } = db
  const keys = keyset(sql, query, ['zones'])
  const rows = await plannedForItsValues(sql<(Zone & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position}
    from zones
    where archived_at is null
      and not starts_with(slug, 'caracal-sys-')
      and not starts_with(lower(btrim(name)), 'caracal.sys/')
      and ${withinView(db, view)}
      and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

/** Live zones of the reserved namespace, which no list of zones has; there are few. `only` narrows as above. */
export async function listReservedZones(db: Queryable, only: readonly string[] | null): Promise<Zone[]> {
  return await db.sql<Zone[]>`
    select ${columns(db)}
    from zones
    where archived_at is null
      and (starts_with(slug, 'caracal-sys-') or starts_with(lower(btrim(name)), 'caracal.sys/'))
      and ${only === null ? db.sql`true` : db.sql`id = any(${only as string[]}::text[])`}
    order by name, id
    limit 100`
}

/** A live zone, or `null`. */
export async function findZone(db: Queryable, id: string): Promise<Zone | null> {
  const [zone] = await db.sql<Zone[]>`
    select ${columns(db)} from zones where id = ${id} and archived_at is null`
  return zone ?? null
}

/** Id of the live zone that has this id, or else this slug. */
export async function findZoneByName(db: Queryable, name: string): Promise<string | null> {
  const [row] = await db.sql<{ id: string }[]>`
    select id from zones
    where (id = ${name} or slug = ${name}) and archived_at is null
    order by id = ${name} desc
    limit 1`
  return row?.id ?? null
}

export interface ZoneName {
  readonly id: string
  readonly name: string
  readonly slug: string
}

/** Live zones that a console account made, in the order of their ids; by the index on the owner. */
export async function listOwnedZones(db: Queryable, accountId: string, limit: number): Promise<ZoneName[]> {
  return await db.sql<ZoneName[]>`
    select id, name, slug from zones
    where owner_account_id = ${accountId} and archived_at is null
    order by id
    limit ${limit}`
}

/** A live zone, locked against change until the transaction ends. */
export async function lockZone(tx: Tx, id: string): Promise<Zone | null> {
  const [zone] = await tx.sql<Zone[]>`
    select ${columns(tx)} from zones where id = ${id} and archived_at is null for update`
  return zone ?? null
}

export async function slugsStartingWith(db: Queryable, base: string): Promise<ReadonlySet<string>> {
  const rows = await db.sql<{ slug: string }[]>`
    select slug from zones where slug = ${base} or starts_with(slug, ${`${base}-`})`
  return new Set(rows.map((row) => row.slug))
}

export interface NewZone {
  readonly id: string
  readonly name: string
  readonly slug: string
  readonly dcr_enabled: boolean
  /** The account it belongs to, of our console or of a v1 one. */
  readonly owner_account_id: string | null
}

/** Inserts the zone; `null` when the slug is taken. */
export async function insertZone(tx: Tx, zone: NewZone, by: Attribution): Promise<Zone | null> {
  const [row] = await tx.sql<Zone[]>`
    insert into zones (id, name, slug, dcr_enabled, owner_account_id,
                       created_by, created_via_operator, updated_by, updated_via_operator)
    values (${zone.id}, ${zone.name}, ${zone.slug}, ${zone.dcr_enabled}, ${zone.owner_account_id},
            ${by.by}, ${by.viaOperator}, ${by.by}, ${by.viaOperator})
    on conflict (slug) do nothing
    returning ${columns(tx)}`
  return row ?? null
}

export interface ZonePatch {
  readonly name?: string | undefined
  readonly slug?: string | undefined
  readonly dcr_enabled?: boolean | undefined
  readonly operator_coauthor_badge?: boolean | undefined
  readonly operator_governed?: boolean | undefined
}

/** Applies the given fields to a zone that the transaction has locked. */
export async function updateZone(tx: Tx, id: string, patch: ZonePatch, by: Attribution): Promise<Zone> {
  const [row] = await tx.sql<Zone[]>`
    update zones set
      name = coalesce(${patch.name ?? null}, name),
      slug = coalesce(${patch.slug ?? null}, slug),
      dcr_enabled = coalesce(${patch.dcr_enabled ?? null}::boolean, dcr_enabled),
      operator_coauthor_badge = coalesce(${patch.operator_coauthor_badge ?? null}::boolean, operator_coauthor_badge),
      operator_governed = coalesce(${patch.operator_governed ?? null}::boolean, operator_governed),
      updated_by = ${by.by},
      updated_via_operator = ${by.viaOperator},
      updated_at = now()
    where id = ${id}
    returning ${columns(tx)}`
  if (row === undefined) throw new Error('a locked zone cannot vanish')
  return row
}

/** True when the zone was live and is now archived. */
export async function archiveZone(tx: Tx, id: string, by: Attribution): Promise<boolean> {
  const rows = await tx.sql`
    update zones
    set archived_at = now(), updated_at = now(), updated_by = ${by.by}, updated_via_operator = ${by.viaOperator}
    where id = ${id} and archived_at is null
    returning id`
  return rows.length > 0
}

export async function countLiveDcrApplications(db: Queryable, zoneId: string): Promise<number> {
  const [row] = await db.sql<{ n: number }[]>`
    select count(*)::int as n from applications
    where zone_id = ${zoneId} and registration_method = 'dcr' and archived_at is null and expires_at > now()`
  return row?.n ?? 0
}

/** Name, slug, owner and standing of a zone in any state, for the gate in front of the routes. */
export async function zoneStanding(
  db: Queryable,
  id: string,
): Promise<{ name: string; slug: string; owner: string | null; archived: boolean } | null> {
  const [row] = await db.sql<{ name: string; slug: string; owner: string | null; archived: boolean }[]>`
    select name, slug, owner_account_id as owner, archived_at is not null as archived from zones where id = ${id}`
  return row ?? null
}
