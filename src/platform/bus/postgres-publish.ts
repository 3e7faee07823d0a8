/**
 * Publishing into `bus_event`. Concurrent publishes of one tick travel in one
 * statement, at most two statements at a time: thousands of entries a second at
 * one commit and one notification per batch. Round trips per publish: 1.
 */

import type { Sql } from '../db/port.ts'
import { storeTimeout } from '../db/unavailable.ts'
import { within } from '../within.ts'
import { createCoalescer } from './coalesce.ts'
import type { OutgoingEntry, Published } from './port.ts'
import { formatId } from './position.ts'
import { isStoreAway } from './postgres-outage.ts'

export const notifyChannel = 'caracal_bus'

const maxBatch = 500
const timeoutMs = 5000

export interface PostgresPublisher {
  publish(entries: readonly OutgoingEntry[]): Promise<Published[]>
  idle(): Promise<void>
}

export interface PublisherHooks {
  /** Called before a batch is sent with its streams; answers those to notify about now, each of which comes back. */
  readonly onSend: (streams: readonly string[]) => readonly string[]
  /** Called after a batch was committed. */
  readonly onCommitted: (streams: readonly string[]) => void
}

interface InsertedRow {
  readonly xid: string
  readonly seqs: readonly string[]
}

export function createPublisher(sql: Sql, hooks: PublisherHooks): PostgresPublisher {
  const insert = async (entries: readonly OutgoingEntry[]): Promise<string[]> => {
    const distinct = [...new Set(entries.map((entry) => entry.stream))]
    const notified = hooks.onSend(distinct)
    // One JSON text: an array parameter would escape every quote of every entry a second time.
    const batch = JSON.stringify(entries.map((entry) => [entry.stream, entry.fields]))
    // Identity values follow the ordinality of the batch; all rows share the transaction's xid.
    const [row] = await sql<InsertedRow[]>`
      with put as (
        insert into bus_event (stream, payload)
        select e.entry->>0, e.entry->1
        from jsonb_array_elements(${batch}::text::jsonb) with ordinality as e(entry, n)
        order by e.n
        returning seq
      )
      select pg_current_xact_id()::text as xid,
             (select array_agg(seq::text order by seq) from put) as seqs,
             (select count(pg_notify(${notifyChannel}, s)) from unnest(${notified as string[]}::text[]) as s) as notified`
    if (row === undefined) throw new Error('bus insert answered no row')
    hooks.onCommitted(distinct)
    const xid = BigInt(row.xid)
    return row.seqs.map((seq) => formatId({ xid, seq: BigInt(seq) }))
  }

  const flushEntries = async (entries: readonly OutgoingEntry[]): Promise<Published[]> => {
    try {
      const ids = await within(insert(entries), timeoutMs, storeTimeout)
      return ids.map((id) => ({ ok: true, id }))
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      if (isStoreAway(error)) return entries.map(() => ({ ok: false, reason: 'unavailable', message }))
      if (entries.length === 1) return [{ ok: false, reason: 'rejected', message }]
      // One entry the store cannot hold (a NUL in a value) must not take its neighbours with it.
      const results: Published[] = []
      for (const entry of entries) results.push(...(await flushEntries([entry])))
      return results
    }
  }

  /** Several calls in one statement; each gets its own part of the answer. */
  const flush = async (calls: readonly (readonly OutgoingEntry[])[]): Promise<Published[][]> => {
    const results = await flushEntries(calls.flat())
    let from = 0
    return calls.map((call) => {
      from += call.length
      return results.slice(from - call.length, from)
    })
  }

  // A call is never split over statements that are under way together: they may commit in either order.
  const coalescer = createCoalescer<readonly OutgoingEntry[], Published[]>({
    flush,
    maxItems: maxBatch,
    weigh: (call) => call.length,
  })
  return {
    async publish(entries) {
      if (entries.length <= maxBatch) return entries.length === 0 ? [] : coalescer.add(entries)
      const results: Published[] = []
      for (let at = 0; at < entries.length; at += maxBatch)
        results.push(...(await coalescer.add(entries.slice(at, at + maxBatch))))
      return results
    },
    idle: () => coalescer.idle(),
  }
}
