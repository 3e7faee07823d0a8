/** The locks of several changes in one transaction: their idempotency keys, their zones' (`zone-locks.ts`), the audit chain's. */
import type postgres from 'postgres'
import { adminChainName } from '../../../platform/admin-audit/chain-name.ts'
import { awaitNamedLocks } from '../../../platform/db/advisory-locks.ts'
import type { Tx } from '../../../platform/db/port.ts'
import { graphLock, spawnLock } from '../../../platform/db/zone-locks.ts'

/** What one of several changes of a transaction must hold. */
export interface WantedLocks {
  readonly zoneId: string
  /** Of its idempotency key. */
  readonly key: string | null
  readonly graph: boolean
  /** It writes an administrative record. */
  readonly chain: boolean
}

/** How long a transaction of many zones waits for a row that one of them shares with somebody, in milliseconds. */
const patienceForRows = 250

/**
 * Takes what each change wants wherever that needs no waiting, and answers the places of the changes that
 * have all of theirs. The transaction remembers them, so that statements sent in the same packet do nothing
 * for the others: see `granted`.
 */
export async function tryLocks(tx: Tx, wanted: readonly WantedLocks[]): Promise<ReadonlySet<number>> {
  const asked = wanted.map(({ zoneId, key, graph: withGraph, chain }, n) => ({
    n,
    key,
    spawn: spawnLock(zoneId),
    graph: withGraph ? graphLock(zoneId) : null,
    chain: chain ? adminChainName(zoneId) : null,
  }))
  const [row] = await tx.sql<{ granted: string }[]>`
    select
      set_config('lock_timeout', ${`${patienceForRows}ms`}, true),
      set_config('caracal.granted', coalesce(string_agg(held.n::text, ','), ''), true) as granted
    from (
      select n
      from json_to_recordset(${JSON.stringify(asked)}::text::json)
        as asked(n int, key text, spawn text, graph text, chain text)
      where (key is null or pg_try_advisory_xact_lock(hashtextextended(key, 0)))
        and pg_try_advisory_xact_lock(hashtext(spawn))
        and (graph is null or pg_try_advisory_xact_lock(hashtext(graph)))
        and (chain is null or pg_try_advisory_xact_lock(hashtextextended(chain, 0)))
    ) as held`
  return new Set((row?.granted ?? '').split(',').filter(Boolean).map(Number))
}

/** Waits for what changes of one zone want, in the order of locks. */
export async function awaitLocks(tx: Tx, wanted: readonly WantedLocks[]): Promise<ReadonlySet<number>> {
  const [first] = wanted
  if (first === undefined) return new Set()
  const { zoneId } = first
  const keys = wanted.flatMap(({ key }) => key ?? [])
  const all = [...wanted.keys()]
  await Promise.all([
    keys.length === 0 ? undefined : awaitNamedLocks(tx, keys),
    tx.sql`
      select
        pg_advisory_xact_lock(hashtext(${spawnLock(zoneId)})),
        pg_advisory_xact_lock(hashtext(${wanted.some((each) => each.graph) ? graphLock(zoneId) : null}::text)),
        pg_advisory_xact_lock(
          hashtextextended(${wanted.some(({ chain }) => chain) ? adminChainName(zoneId) : null}::text, 0)
        ),
        set_config('caracal.granted', ${all.join(',')}, true)`,
  ])
  return new Set(all)
}

/** The places of the changes that hold their locks, for statements of a transaction of several changes. */
export const granted = (sql: postgres.ISql) =>
  sql`any(string_to_array(current_setting('caracal.granted'), ',')::int[])`
