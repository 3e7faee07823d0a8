/** Lists by id, newest first: ids are UUIDv7, so the id is the keyset (coordinator §4.6). */
import type postgres from 'postgres'
import type { Queryable } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'

export interface PageRequest {
  readonly limit: number
  /** Id of the last item seen. */
  readonly cursor: string | null
}

export interface ListedTable {
  readonly table: 'agent_sessions' | 'agent_services' | 'agent_invocations' | 'delegation_edges'
  readonly columns: postgres.Fragment
  /** Which rows the caller may see; a cursor must be one of them. */
  readonly visible: postgres.Fragment
  /** What else was asked for. */
  readonly wanted?: postgres.Fragment
}

/**
 * One page, or null for a cursor that is not among the visible rows. Both statements go out
 * together; index (zone_id, id).
 */
export async function readPage<Row extends object>(
  db: Queryable,
  list: ListedTable,
  { limit, cursor }: PageRequest,
): Promise<Row[] | null> {
  const { sql } = db
  const [known, rows] = await Promise.all([
    cursor === null ? [true] : sql`select 1 from ${sql(list.table)} where ${list.visible} and id = ${cursor}`,
    plannedForItsValues(sql<Row[]>`
      select ${list.columns}
      from ${sql(list.table)}
      where ${list.visible}
        and ${list.wanted ?? sql`true`}
        and ${cursor === null ? sql`true` : sql`id < ${cursor}`}
      order by id desc
      limit ${limit}`),
  ])
  return known.length === 0 ? null : [...rows]
}
