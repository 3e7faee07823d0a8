/** Resources (gateway §21.1). */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { Operation } from '../resource-rules.ts'
import type { Attribution } from '../route.ts'
import { archiveLive, findLive, identifiersStartingWith, lockLive } from './definitions.ts'
import { keyset, type Page, type PageQuery } from './page.ts'

export type OperationEnforcement = 'enforced' | 'transport_uniform'

export interface Resource {
  readonly id: string
  readonly zone_id: string
  readonly name: string
  readonly identifier: string
  readonly upstream_url: string | null
  readonly scopes: readonly string[]
  readonly credential_provider_id: string
  readonly operations: readonly Operation[]
  readonly operation_enforcement: OperationEnforcement
  readonly created_by: string | null
  readonly created_via_operator: boolean
  readonly updated_by: string | null
  readonly updated_via_operator: boolean
  readonly created_at: Date
  readonly updated_at: Date
  readonly archived_at: Date | null
}

const columns = ({ sql }: Queryable) => sql`
  id, zone_id, name, identifier, upstream_url, scopes, credential_provider_id, operations, operation_enforcement,
  created_by, created_via_operator, updated_by, updated_via_operator, created_at, updated_at, archived_at`

/** `hidden` is an identifier left out of the list (the control resource, for zone-scoped actors). */
export async function listResources(
  db: Queryable,
  zoneId: string,
  status: 'active' | 'archived',
  hidden: string | null,
  query: PageQuery,
): Promise<Page<Resource>> {
  const { sql } = db
  const keys = keyset(sql, query, ['resources', zoneId, status])
  const rows = await plannedForItsValues(sql<(Resource & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position}
    from resources
    where zone_id = ${zoneId}
      and archived_at is ${status === 'active' ? sql`null` : sql`not null`}
      and ${hidden === null ? sql`true` : sql`identifier <> ${hidden}`}
      and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

export const findResource = (db: Queryable, zoneId: string, id: string): Promise<Resource | null> =>
  findLive(db, 'resources', columns, zoneId, id)

export const lockResource = (tx: Tx, zoneId: string, id: string): Promise<Resource | null> =>
  lockLive(tx, 'resources', columns, zoneId, id)

export async function countResources(db: Queryable, zoneId: string): Promise<number> {
  const [row] = await db.sql<{ n: number }[]>`
    select count(*)::int as n from resources where zone_id = ${zoneId} and archived_at is null`
  return row?.n ?? 0
}

export const resourceIdentifiersStartingWith = (db: Queryable, zoneId: string, base: string) =>
  identifiersStartingWith(db, 'resources', zoneId, base)

export interface ResourceFields {
  readonly name: string
  readonly identifier: string
  readonly upstreamUrl: string | null
  readonly scopes: readonly string[]
  readonly providerId: string
  readonly operations: readonly Operation[]
  readonly enforcement: OperationEnforcement
}

/** Inserts the resource; `null` when the identifier is taken by an active one. */
export async function insertResource(
  tx: Tx,
  id: string,
  zoneId: string,
  fields: ResourceFields,
  by: Attribution,
): Promise<Resource | null> {
  const [row] = await tx.sql<Resource[]>`
    insert into resources
      (id, zone_id, name, identifier, upstream_url, scopes, credential_provider_id, operations,
       operation_enforcement, created_by, created_via_operator, updated_by, updated_via_operator)
    values
      (${id}, ${zoneId}, ${fields.name}, ${fields.identifier}, ${fields.upstreamUrl},
       ${fields.scopes as string[]}::text[], ${fields.providerId}, ${JSON.stringify(fields.operations)}::jsonb,
       ${fields.enforcement}, ${by.by}, ${by.viaOperator}, ${by.by}, ${by.viaOperator})
    on conflict (zone_id, identifier) where archived_at is null do nothing
    returning ${columns(tx)}`
  return row ?? null
}

/** Writes the whole new state of a locked resource. */
export async function updateResource(
  tx: Tx,
  zoneId: string,
  id: string,
  fields: ResourceFields,
  by: Attribution,
): Promise<Resource> {
  const [row] = await tx.sql<Resource[]>`
    update resources set
      name = ${fields.name},
      identifier = ${fields.identifier},
      upstream_url = ${fields.upstreamUrl},
      scopes = ${fields.scopes as string[]}::text[],
      credential_provider_id = ${fields.providerId},
      operations = ${JSON.stringify(fields.operations)}::jsonb,
      operation_enforcement = ${fields.enforcement},
      updated_by = ${by.by},
      updated_via_operator = ${by.viaOperator},
      updated_at = now()
    where zone_id = ${zoneId} and id = ${id}
    returning ${columns(tx)}`
  if (row === undefined) throw new Error('a locked resource cannot vanish')
  return row
}

/** True when it was live and is now archived. */
export const archiveResource = (tx: Tx, zoneId: string, id: string, by: Attribution): Promise<boolean> =>
  archiveLive(tx, 'resources', zoneId, id, by)

/** How many live resources name the provider. */
export async function countBoundTo(db: Queryable, zoneId: string, providerId: string): Promise<number> {
  const [row] = await db.sql<{ bound: number }[]>`
    select count(*)::int as bound from resources
    where zone_id = ${zoneId} and credential_provider_id = ${providerId} and archived_at is null`
  return row?.bound ?? 0
}
