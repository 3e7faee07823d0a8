/** The operator's lower mint limit, a single row of control's table `sts_rate_limit`. */
import type { Queryable } from '../../../platform/db/port.ts'

/** `null` when the operator set none. */
export async function readMintLimit(db: Pick<Queryable, 'sql'>): Promise<number | null> {
  const [row] = await db.sql<{ limit_per_minute: number }[]>`
    select limit_per_minute from sts_rate_limit where singleton`
  return row?.limit_per_minute ?? null
}
