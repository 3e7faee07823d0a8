/** The two singleton settings an operator may lower below their configured ceiling (control-api §7.2, §7.3). */
import type { Queryable, Tx } from '../../../platform/db/port.ts'

export interface StoredLimit {
  readonly value: number
  readonly updated_by: string | null
  readonly updated_at: Date
}

export async function readRetention(db: Queryable): Promise<StoredLimit | null> {
  const [row] = await db.sql<StoredLimit[]>`
    select retention_days as value, updated_by, updated_at from audit_retention where singleton`
  return row ?? null
}

export async function writeRetention(tx: Tx, days: number, by: string): Promise<void> {
  await tx.sql`
    insert into audit_retention (singleton, retention_days, updated_by, updated_at)
    values (true, ${days}, ${by}, now())
    on conflict (singleton)
      do update set retention_days = excluded.retention_days, updated_by = excluded.updated_by, updated_at = now()`
}

export async function readMintLimit(db: Queryable): Promise<StoredLimit | null> {
  const [row] = await db.sql<StoredLimit[]>`
    select limit_per_minute as value, updated_by, updated_at from sts_rate_limit where singleton`
  return row ?? null
}

export async function writeMintLimit(tx: Tx, limit: number, by: string): Promise<void> {
  await tx.sql`
    insert into sts_rate_limit (singleton, limit_per_minute, updated_by, updated_at)
    values (true, ${limit}, ${by}, now())
    on conflict (singleton)
      do update set limit_per_minute = excluded.limit_per_minute, updated_by = excluded.updated_by, updated_at = now()`
}
