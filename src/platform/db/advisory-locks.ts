import type { Queryable, Tx } from './port.ts'

/** Serialises migrations, and whoever first needs what a deployment makes once (storage-and-operations §7.2). */
export async function lockMigrations({ sql }: Pick<Queryable, 'sql'>): Promise<void> {
  await sql`select pg_advisory_xact_lock(4732518903281471)`
}

/**
 * Waits for the advisory locks of these names, held to the end of the transaction. They are taken in one order,
 * so that two callers cannot deadlock; a name is hashed with `hashtextextended` and seed 0.
 */
export async function awaitNamedLocks(tx: Tx, names: readonly string[]): Promise<void> {
  await tx.sql`
    select pg_advisory_xact_lock(hashtextextended(name, 0))
    from (
      select name
      from unnest(${names as string[]}::text[]) as wanted(name)
      order by name collate "C"
      offset 0
    ) ordered`
}
