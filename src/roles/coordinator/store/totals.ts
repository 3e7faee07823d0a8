/** Counts over whole tables, for operators. Never on a request's path without a cache. */
import type { Queryable } from '../../../platform/db/port.ts'

/** Invocations by status. */
export async function countInvocations(db: Queryable): Promise<Record<string, number>> {
  const rows = await db.sql<{ status: string; count: number }[]>`
    select status, count(*)::int as count
    from agent_invocations
    group by status`
  return Object.fromEntries(rows.map((row) => [row.status, row.count]))
}

export interface ReceiptTotals {
  readonly rows: number
  readonly oldestSeconds: number
}

export async function countReceipts(db: Queryable): Promise<ReceiptTotals> {
  const [row] = await db.sql<ReceiptTotals[]>`
    select
      count(*)::int as rows,
      coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as "oldestSeconds"
    from coordinator_idempotency_receipts`
  return row ?? { rows: 0, oldestSeconds: 0 }
}
