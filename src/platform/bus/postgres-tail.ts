/**
 * Broadcast reader of the Postgres driver. Reads (xid, seq) above its own
 * position and below the oldest running transaction, so a commit that arrives
 * late is never passed by. Rows that are visible but not final yet are looked at
 * again after a few milliseconds instead of at the next poll.
 */
import type { Logger } from 'pino'
import type { Database } from '../db/port.ts'
import type { Fields, StreamEntry, Tail, TailOptions } from './port.ts'
import { maxSeq, origin, type Position, parseId } from './position.ts'
import { finalBelow, settleMs } from './postgres-horizon.ts'
import { trimMark } from './postgres-trim.ts'
import type { Wake } from './postgres-wake.ts'
import { createBell } from './wait.ts'

const pageSize = 500
const retryAfterErrorMs = 1000

interface EventRow {
  readonly id: string
  readonly payload: Fields
  readonly settled: boolean
  /** How far the stream was trimmed. */
  readonly trimmed: string | null
}

interface Cursor {
  readonly stream: string
  position: Position
  /** Snapshot of the start: what it already saw came before the call. */
  snapshot: string | null
  /** Trim mark that was reported already. */
  gapSeen: string | null
  dirty: boolean
}

export async function openTail(db: Database, wake: Wake, log: Logger, options: TailOptions): Promise<Tail> {
  const { sql } = db
  const bell = createBell()
  const closing = new AbortController()
  let reposition = false
  /** Everything below is final, besides what the snapshot of a read says. */
  let horizon = '0'

  const [now] = await sql<{ xmin: string; snapshot: string }[]>`
    select pg_snapshot_xmin(s)::text as xmin, s::text as snapshot from pg_current_snapshot() as s`
  if (now === undefined) throw new Error('no snapshot')
  const end: Position = { xid: BigInt(now.xmin) - 1n, seq: maxSeq }
  const cursors: Cursor[] = options.streams.map((stream) => ({
    stream,
    position: options.from === 'end' ? end : origin,
    snapshot: options.from === 'end' ? now.snapshot : null,
    gapSeen: null,
    dirty: true,
  }))

  const read = (cursor: Cursor) => sql<EventRow[]>`
    select e.xid::text || '-' || e.seq::text as id, e.payload,
           e.xid < greatest(pg_snapshot_xmin(pg_current_snapshot()), ${horizon}::xid8) as settled,
           (select m.xid::text || '-' || m.seq::text
            from bus_cursor m
            where m.stream = ${cursor.stream} and m.grp = ${trimMark}) as trimmed
    from bus_event e
    where e.stream = ${cursor.stream}
      and (e.xid, e.seq) > (${cursor.position.xid.toString()}::xid8, ${cursor.position.seq.toString()}::bigint)
      and (${cursor.snapshot}::pg_snapshot is null
           or not pg_visible_in_snapshot(e.xid, ${cursor.snapshot}::pg_snapshot))
    order by e.xid, e.seq
    limit ${pageSize}`

  const report = async (work: () => Promise<void> | void, event: string): Promise<void> => {
    try {
      await work()
    } catch (error) {
      log.error({ err: error, streams: options.streams }, event)
    }
  }

  /** True when rows above the position were trimmed away before they were read. */
  const passedByTrim = (cursor: Cursor, mark: string | null): boolean => {
    if (mark === null || mark === cursor.gapSeen) return false
    const trimmed = parseId(mark)
    const { position } = cursor
    const passed = trimmed.xid > position.xid || (trimmed.xid === position.xid && trimmed.seq > position.seq)
    if (passed) cursor.gapSeen = mark
    return passed
  }

  /** Reads one page; answers whether rows remain that are not final yet. */
  const advance = async (cursor: Cursor): Promise<boolean> => {
    // Before the read: a wake that arrives meanwhile must not be forgotten.
    cursor.dirty = false
    const rows = await read(cursor).catch((error: unknown) => {
      cursor.dirty = true
      throw error
    })
    const settled = rows.filter((row) => row.settled)
    if (settled.length > 0 && passedByTrim(cursor, settled[0]?.trimmed ?? null))
      await report(options.onGap, 'bus_gap_failed')
    if (rows.length === pageSize || settled.length < rows.length) cursor.dirty = true
    if (settled.length > 0) {
      const entries: StreamEntry[] = settled.map((row) => ({
        id: row.id,
        stream: cursor.stream,
        fields: row.payload,
      }))
      const last = entries.at(-1) as StreamEntry
      await report(() => options.onEntries(entries), 'bus_entries_failed')
      cursor.position = parseId(last.id)
    }
    return settled.length < rows.length
  }

  /**
   * After a new connection the server may be another one (restore, promotion): a position it has not
   * reached goes back to what is surely final, and the owner reloads.
   */
  const stepBack = async (): Promise<void> => {
    const [row] = await sql<{ xmin: string; xmax: string }[]>`
      select pg_snapshot_xmin(s)::text as xmin, pg_snapshot_xmax(s)::text as xmax
      from pg_current_snapshot() as s`
    if (row === undefined) return
    horizon = '0'
    for (const cursor of cursors) {
      if (cursor.position.xid >= BigInt(row.xmax)) {
        cursor.position = { xid: BigInt(row.xmin) - 1n, seq: maxSeq }
      }
      cursor.dirty = true
    }
    await report(options.onGap, 'bus_gap_failed')
  }

  const loop = async (): Promise<void> => {
    let pause: number = settleMs.first
    let failing = false
    while (!closing.signal.aborted) {
      try {
        if (reposition) {
          await stepBack()
          reposition = false
        }
        let unsettled = false
        let again = false
        for (const cursor of cursors) {
          if (!cursor.dirty || closing.signal.aborted) continue
          const waits = await advance(cursor)
          unsettled ||= waits
          again ||= cursor.dirty && !waits
        }
        failing = false
        if (again) continue
        await bell.wait(unsettled ? pause : undefined, closing.signal)
        if (unsettled && pause === settleMs.longest) horizon = await finalBelow(sql)
        pause = unsettled ? Math.min(pause * 2, settleMs.longest) : settleMs.first
      } catch (error) {
        if (!failing && !closing.signal.aborted)
          log.warn({ err: error, streams: options.streams }, 'bus_tail_failed')
        failing = true
        await bell.wait(retryAfterErrorMs, closing.signal)
      }
    }
  }

  const unwatch = cursors.map((cursor) =>
    wake.watch({
      stream: cursor.stream,
      wake() {
        cursor.dirty = true
        bell.ring()
      },
      reconnected() {
        reposition = true
      },
    }),
  )
  const running = loop()

  return {
    positioned: Promise.resolve(),
    async [Symbol.asyncDispose]() {
      for (const stop of unwatch) stop()
      closing.abort()
      await running
    },
  }
}
