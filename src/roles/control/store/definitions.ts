/**
 * What is said alike of every definition of a zone that is archived and never deleted. Live rows are found
 * by the unique `(zone_id, id)`; columns are named by the store that owns the table.
 */
import type { PendingQuery, Row } from 'postgres'
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import type { Attribution } from '../route.ts'

type DefinitionTable =
  | 'applications'
  | 'policies'
  | 'policy_sets'
  | 'providers'
  | 'resources'
  | 'subject_issuers'

type Columns = (db: Queryable) => PendingQuery<Row[]>

/** A definition that is not archived. */
export async function findLive<T extends object>(
  db: Queryable,
  table: DefinitionTable,
  columns: Columns,
  zoneId: string,
  id: string,
): Promise<T | null> {
  const { sql } = db
  const rows = await sql<T[]>`
    select ${columns(db)} from ${sql(table)} where zone_id = ${zoneId} and id = ${id} and archived_at is null`
  return (rows[0] as T | undefined) ?? null
}

/** The same, locked against change until the transaction ends. */
export async function lockLive<T extends object>(
  tx: Tx,
  table: DefinitionTable,
  columns: Columns,
  zoneId: string,
  id: string,
): Promise<T | null> {
  const { sql } = tx
  const rows = await sql<T[]>`
    select ${columns(tx)} from ${sql(table)}
    where zone_id = ${zoneId} and id = ${id} and archived_at is null
    for update`
  return (rows[0] as T | undefined) ?? null
}

/** True when the definition was live and is now archived. */
export async function archiveLive(
  tx: Tx,
  table: DefinitionTable,
  zoneId: string,
  id: string,
  by: Attribution,
): Promise<boolean> {
  const { sql } = tx
  const rows = await sql`
    update ${sql(table)}
    set archived_at = now(), updated_at = now(), updated_by = ${by.by}, updated_via_operator = ${by.viaOperator}
    where zone_id = ${zoneId} and id = ${id} and archived_at is null
    returning id`
  return rows.length > 0
}

/**
 * `base` and everything that was made from it with a suffix. Archived identifiers count as taken, so that
 * a generated one never reuses a past one.
 */
export async function identifiersStartingWith(
  db: Queryable,
  table: 'providers' | 'resources',
  zoneId: string,
  base: string,
): Promise<ReadonlySet<string>> {
  const { sql } = db
  const rows = await sql<{ identifier: string }[]>`
    select identifier from ${sql(table)}
    where zone_id = ${zoneId} and (identifier = ${base} or starts_with(identifier, ${`${base}-`}))`
  return new Set(rows.map((row) => row.identifier))
}
