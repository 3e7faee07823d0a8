/**
 * Keeps streams at their length. Publishing only notes which streams grew; the
 * periodic job deletes what is beyond the length, in bounded statements, and
 * leaves a mark so that a reader that was overtaken learns of it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from '../db/port.ts'
import { formatId, maxSeq, type Position, parseId } from './position.ts'

/** Row of `bus_cursor` that holds the highest trimmed position of a stream; no group can have this name. */
export const trimMark = '\u0001trimmed'

/** Who publishes meanwhile shares the store with a statement this long for some milliseconds, and not with the next at once. */
const batchSize = 1000
const betweenBatchesMs = 10

/** Deletes everything of `stream` up to and including `bound`. */
async function trimThrough(sql: Sql, stream: string, bound: Position): Promise<void> {
  const id = { xid: bound.xid.toString(), seq: bound.seq.toString() }
  const [present] = await sql`
    select 1 from bus_event
    where stream = ${stream} and (xid, seq) <= (${id.xid}::xid8, ${id.seq}::bigint)
    limit 1`
  if (present === undefined) return
  // The mark goes first: a reader that misses rows must find it.
  await sql`
    insert into bus_cursor (stream, grp, xid, seq)
    values (${stream}, ${trimMark}, ${id.xid}::xid8, ${id.seq}::bigint)
    on conflict (stream, grp) do update
    set xid = excluded.xid, seq = excluded.seq
    where (bus_cursor.xid, bus_cursor.seq) < (excluded.xid, excluded.seq)`
  for (;;) {
    const deleted = await sql`
      delete from bus_event
      where seq = any(array(
        select seq from bus_event
        where stream = ${stream} and (xid, seq) <= (${id.xid}::xid8, ${id.seq}::bigint)
        order by xid, seq
        limit ${batchSize}))`
    if (deleted.count < batchSize) return
    await sleep(betweenBatchesMs)
  }
}

/** Keeps the newest `maxLength` entries. */
export async function trimToLength(sql: Sql, stream: string, maxLength: number): Promise<void> {
  const [row] = await sql<{ id: string }[]>`
    select xid::text || '-' || seq::text as id
    from bus_event
    where stream = ${stream}
    order by xid desc, seq desc
    offset ${maxLength}
    limit 1`
  if (row !== undefined) await trimThrough(sql, stream, parseId(row.id))
}

/** Deletes everything below `minId`. */
export async function trimBelow(sql: Sql, stream: string, minId: string): Promise<void> {
  const bound = parseId(minId)
  if (bound.seq > 0n) await trimThrough(sql, stream, { xid: bound.xid, seq: bound.seq - 1n })
  else if (bound.xid > 0n)
    await trimThrough(sql, stream, parseId(formatId({ xid: bound.xid - 1n, seq: maxSeq })))
}
