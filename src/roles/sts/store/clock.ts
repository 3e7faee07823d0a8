/** The trusted clock where no snapshot is read. */
import type { Queryable } from '../../../platform/db/port.ts'

/** Milliseconds since the epoch. */
export async function databaseNow(db: Pick<Queryable, 'sql'>): Promise<number> {
  const [row] = await db.sql<{ now: number }[]>`select (extract(epoch from now()) * 1000)::float8 as now`
  return row?.now ?? Number.NaN
}
