/**
 * Up to where entries are final. Below the oldest running transaction everything
 * is, and that costs nothing to know; but a transaction that stays open for
 * minutes, in whatever database of the cluster, would hold back every entry. When
 * readers have waited a while, the tighter bound is asked for: only transactions
 * that are writing `bus_event` right now can still bring an entry with an id that
 * was assigned before.
 */
import type { Sql } from '../db/port.ts'

/**
 * Entries with a transaction id below the answer are final in every snapshot taken later. Holds
 * because an entry is written by the statement that draws its transaction id: whoever had an id
 * before this statement and may still commit an entry holds the table's write lock now.
 */
export async function finalBelow(sql: Sql): Promise<string> {
  const [row] = await sql<{ horizon: string }[]>`
    with ids as materialized (
      select pg_snapshot_xmax(pg_current_snapshot())::text::numeric as next
    ), locks as materialized (
      select pid, locktype, mode, granted, database, relation, transactionid from pg_locks
    ), writers as (
      -- The lock table holds the low 32 bits of an id: take the id nearest to the next one.
      select ids.next - 2147483648
             + mod(mod(x.transactionid::text::numeric - ids.next + 2147483648, 4294967296) + 4294967296,
                   4294967296) as id
      from ids, locks x
      where x.locktype = 'transactionid' and x.granted and x.mode = 'ExclusiveLock'
        and x.pid in (
          select w.pid from locks w
          where w.locktype = 'relation' and w.mode = 'RowExclusiveLock' and w.granted
            and w.relation = 'bus_event'::regclass
            and w.database = (select oid from pg_database where datname = current_database()))
    )
    select least((select next from ids), (select min(id) from writers))::text as horizon`
  if (row === undefined) throw new Error('no horizon')
  return row.horizon
}

/** Pauses between looks at entries that are not final yet; at the longest the tighter bound is asked for. */
export const settleMs = { first: 1, longest: 50 } as const
