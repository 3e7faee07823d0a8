import type { Tx } from '../../../src/platform/db/port.ts'
import type { TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'

/** Runs `change` in a transaction that holds a console account, asks meanwhile, and commits once that waits for it. */
export async function meanwhile<T>(
  { admin, db }: Pick<TestDatabase, 'admin' | 'db'>,
  change: (sql: Tx['sql']) => Promise<unknown>,
  ask: () => Promise<T>,
): Promise<T> {
  const { answer } = await db.transaction(async (tx) => {
    await change(tx.sql)
    const pending = ask()
    await eventually(async () => {
      const waiting = await admin`
        select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%console_accounts%'`
      return waiting.length > 0
    })
    return { answer: pending }
  })
  return answer
}
