/**
 * Work group of the Postgres driver. `bus_cursor` holds how far entries were
 * handed out, `bus_delivery` what was handed out and not acknowledged; a read
 * moves the cursor and records the deliveries in one statement, under the lock of
 * the cursor row, so two consumers never get the same entry.
 *
 * `locked_until` is the instant of the last delivery plus the lease, so an entry
 * is idle for `now() - locked_until + lease`.
 */
import type { Database, Sql } from '../db/port.ts'
import { isUniqueViolation } from '../db/unavailable.ts'
import { type ClaimedEntry, type Fields, GroupLost, type GroupStats, type WorkGroup } from './port.ts'
import { maxSeq, parseId } from './position.ts'
import { flushedLater } from './postgres-flush.ts'
import { finalBelow, settleMs } from './postgres-horizon.ts'
import { asBusError } from './postgres-outage.ts'
import type { Wake } from './postgres-wake.ts'
import { createBell } from './wait.ts'

const leaseMs = 30_000

/**
 * An entry as it is read: its `data`, as a rule a long JSON text, apart from the other fields. Inside of the JSON
 * of the payload every quote of it would be escaped by the server and read again here.
 */
interface EntryRow {
  readonly id: string
  readonly data: string | null
  readonly others: Fields
}

interface HandedRow extends EntryRow {
  readonly deliveries: number
}

type ReadRow = { readonly present: boolean; readonly unsettled: boolean } & (EntryRow | { readonly id: null })

export function openGroup(
  db: Database,
  wake: Wake,
  stream: string,
  group: string,
): WorkGroup & { close(): void } {
  const { sql } = db
  const bell = createBell()
  let lost = false
  /** True once a read found nothing: until something wakes this group, another read would find nothing either. */
  let drained = false
  /** What was acknowledged over the connection before may be forgotten. */
  let reconnected = false
  let unwatch: (() => void) | null = null

  const watch = (): void => {
    unwatch ??= wake.watch({
      stream,
      group,
      wake() {
        drained = false
        bell.ring()
      },
      lost() {
        lost = true
        drained = false
        bell.ring()
      },
      reconnected() {
        reconnected = true
      },
    })
  }

  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw asBusError(error)
    }
  }

  const toEntry = ({ id, data, others }: EntryRow, deliveries: number): ClaimedEntry => ({
    id,
    stream,
    fields: data === null ? others : { ...others, data },
    deliveries,
  })

  /**
   * Deliveries beyond the cursor are left only where it was moved back by hand or made anew: looking for each of
   * them costs as much as its insert, so that is done when the plain insert was refused.
   */
  const handOut = async (consumer: string, count: number, horizon: string): Promise<ReadRow[]> => {
    try {
      return await handOutBy(consumer, count, horizon, sql``)
    } catch (error) {
      if (!isUniqueViolation(error)) throw error
      return await handOutBy(consumer, count, horizon, sql`on conflict do nothing`)
    }
  }

  const handOutBy = (consumer: string, count: number, horizon: string, leftOver: ReturnType<Sql>) => sql<
    ReadRow[]
  >`
    with cur as (
      select xid, seq from bus_cursor
      where stream = ${stream} and grp = ${group}
      for update
    ), fresh as materialized (
      select e.xid, e.seq, e.payload
      from cur
      cross join lateral (
        select b.xid, b.seq, b.payload
        from bus_event b
        where b.stream = ${stream}
          and (b.xid, b.seq) > (cur.xid, cur.seq)
          and b.xid < greatest(pg_snapshot_xmin(pg_current_snapshot()), ${horizon}::xid8)
        order by b.xid, b.seq
        limit ${count}) e
    ), handed as (
      insert into bus_delivery (grp, seq, stream, consumer, locked_until, deliveries)
      select ${group}, seq, ${stream}, ${consumer}, now() + ${leaseMs} * interval '1 millisecond', 1
      from fresh
      ${leftOver}
    ), moved as (
      update bus_cursor c
      set xid = f.xid, seq = f.seq
      from (select xid, seq from fresh order by xid desc, seq desc limit 1) f
      where c.stream = ${stream} and c.grp = ${group}
    )
    select exists (select 1 from cur) as present,
           exists (select 1 from bus_event u
                   where u.stream = ${stream}
                     and u.xid >= greatest(pg_snapshot_xmin(pg_current_snapshot()), ${horizon}::xid8)) as unsettled,
           f.xid::text || '-' || f.seq::text as id,
           f.payload->>'data' as data,
           f.payload - 'data' as others
    from ${flushedLater(sql)} one
    left join fresh f on true
    order by f.xid, f.seq`

  return {
    ensure: (from) =>
      guarded(async () => {
        // A group that starts at the end begins where everything below is final. Rows that are visible
        // but not final yet came before the call, so it waits a moment for them.
        for (let attempt = 0; ; attempt += 1) {
          const horizon = attempt < 10 ? '0' : await finalBelow(sql)
          const [row] = await sql<{ bound: string; settled: boolean; present: boolean }[]>`
            select b.bound::text as bound,
                   not exists (select 1 from bus_event e
                               where e.stream = ${stream} and e.xid >= b.bound) as settled,
                   exists (select 1 from bus_cursor c
                           where c.stream = ${stream} and c.grp = ${group}) as present
            from (select greatest(pg_snapshot_xmin(pg_current_snapshot()), ${horizon}::xid8) as bound) b`
          if (row === undefined || row.present) break
          if (from === 'end' && !row.settled && attempt < 50) {
            await new Promise((resolve) => setTimeout(resolve, 10))
            continue
          }
          const xid = from === 'end' ? (BigInt(row.bound) - 1n).toString() : '0'
          const seq = from === 'end' ? String(maxSeq) : '0'
          await sql`
            insert into bus_cursor (stream, grp, xid, seq)
            values (${stream}, ${group}, ${xid}::xid8, ${seq}::bigint)
            on conflict (stream, grp) do nothing`
          break
        }
        lost = false
        drained = false
        watch()
      }),

    read: ({ consumer, count, blockMs, signal }) =>
      guarded(async () => {
        watch()
        const until = performance.now() + blockMs
        let pause: number = settleMs.first
        let horizon = '0'
        while (!signal.aborted) {
          let unsettled = false
          if (!drained) {
            lost = false
            drained = true
            const rows = await handOut(consumer, count, horizon).catch((error: unknown) => {
              drained = false
              throw error
            })
            const first = rows[0]
            if (first === undefined || !first.present) {
              drained = false
              throw new GroupLost(`group ${group} of ${stream} is gone`)
            }
            unsettled = first.unsettled
            if (first.id !== null) {
              drained = false
              return rows.flatMap((row) => (row.id === null ? [] : [toEntry(row, 1)]))
            }
            if (unsettled) drained = false
          }
          if (lost) throw new GroupLost(`group ${group} of ${stream} is gone`)
          if (reconnected) {
            reconnected = false
            return []
          }
          const left = until - performance.now()
          if (left <= 0) return []
          await bell.wait(unsettled ? Math.min(pause, left) : left, signal)
          if (unsettled && pause === settleMs.longest) horizon = await finalBelow(sql)
          pause = unsettled ? Math.min(pause * 2, settleMs.longest) : settleMs.first
        }
        return []
      }),

    reclaim: ({ consumer, minIdleMs, count, from }) =>
      guarded(async () => {
        const [present] = await sql`
          select 1 from bus_cursor where stream = ${stream} and grp = ${group}`
        if (present === undefined) throw new GroupLost(`group ${group} of ${stream} is gone`)
        // What was trimmed while it was pending has nothing left to deliver.
        const rows = await sql<HandedRow[]>`
          with idle as (
            select grp, seq from bus_delivery
            where grp = ${group} and stream = ${stream}
              and locked_until <= now() + ${leaseMs - minIdleMs} * interval '1 millisecond'
              and (${from === undefined} or consumer = ${from ?? ''})
            order by seq
            limit ${count}
            for update skip locked
          ), gone as (
            delete from bus_delivery d
            using idle i
            where d.grp = i.grp and d.seq = i.seq
              and not exists (select 1 from bus_event e where e.seq = i.seq)
          ), taken as (
            update bus_delivery d
            set consumer = ${consumer},
                locked_until = now() + ${leaseMs} * interval '1 millisecond',
                deliveries = d.deliveries + 1
            from idle i, bus_event e
            where d.grp = i.grp and d.seq = i.seq and e.seq = i.seq
            returning e.xid, e.seq, e.payload, d.deliveries
          )
          select xid::text || '-' || seq::text as id, payload->>'data' as data, payload - 'data' as others, deliveries
          from taken
          order by xid, seq`
        return rows.map((row) => toEntry(row, row.deliveries))
      }),

    ack: (ids) =>
      guarded(async () => {
        if (ids.length === 0) return
        // A seq is one of all streams. Told the stream too, the planner would read all that is pending there.
        await sql`
          delete from bus_delivery
          where grp = ${group}
            and seq = any(${ids.map((id) => parseId(id).seq.toString())}::bigint[])
            and ${flushedLater(sql)} = 'off'`
      }),

    stats: () =>
      guarded(async (): Promise<GroupStats> => {
        const [row] = await sql<
          {
            pending: number
            idle: number | null
            oldest: string | null
            last: string
            undelivered: number
          }[]
        >`
          select c.xid::text || '-' || c.seq::text as last,
                 p.pending, p.idle, p.oldest,
                 (select count(*)::int from bus_event e
                  where e.stream = c.stream and (e.xid, e.seq) > (c.xid, c.seq)) as undelivered
          from bus_cursor c
          cross join lateral (
            select count(*)::int as pending,
                   (extract(epoch from now() - min(d.locked_until)) * 1000 + ${leaseMs})::float8 as idle,
                   (array_agg(e.xid::text || '-' || e.seq::text order by e.xid, e.seq)
                      filter (where e.seq is not null))[1] as oldest
            from bus_delivery d
            left join bus_event e on e.seq = d.seq
            where d.grp = c.grp and d.stream = c.stream) p
          where c.stream = ${stream} and c.grp = ${group}`
        if (row === undefined) throw new GroupLost(`group ${group} of ${stream} is gone`)
        return {
          pending: row.pending,
          undelivered: row.undelivered,
          oldestPendingMs: row.idle === null ? 0 : Math.max(0, Math.round(row.idle)),
          oldestPendingId: row.oldest,
          lastDeliveredId: row.last,
        }
      }),

    holders: () =>
      guarded(async () => {
        const rows = await sql<{ consumer: string }[]>`
          select distinct consumer
          from bus_delivery
          where grp = ${group} and stream = ${stream}`
        return rows.map(({ consumer }) => consumer)
      }),

    // A consumer is a name on what it holds: who holds nothing is not there.
    forgetConsumers: async () => 0,

    destroy: () =>
      guarded(async () => {
        await sql`
          with cursor as (
            delete from bus_cursor where stream = ${stream} and grp = ${group}
          )
          delete from bus_delivery where stream = ${stream} and grp = ${group}`
      }),

    close() {
      unwatch?.()
      unwatch = null
    },
  }
}
