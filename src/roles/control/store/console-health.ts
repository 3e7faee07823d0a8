/** What the console asks of the store itself. */
import type { Queryable } from '../../../platform/db/port.ts'

/** Unix milliseconds of the database's clock, which decides every expiry. */
export async function databaseClock(db: Queryable): Promise<number> {
  const [row] = await db.sql<{ now: Date }[]>`select clock_timestamp() as now`
  if (row === undefined) throw new Error('a clock without a row')
  return row.now.getTime()
}
