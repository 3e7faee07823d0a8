/**
 * The bus on Postgres: `bus_event`, `bus_cursor`, `bus_delivery`
 * (storage-and-operations §3.5, §7.5). Serves one process or many; "just
 * Postgres" is a supported small production.
 *
 * Whatever writes `bus_event` draws its transaction id in a statement that holds the table's
 * lock already: the order of delivery rests on it (postgres-horizon.ts). This driver does so in
 * transactions of its own; `store` lets a function of a migration, or a transaction opened with `publishes`,
 * do the same.
 */
import type { Logger } from 'pino'
import type { Database } from '../db/port.ts'
import type { Job } from '../jobs/job.ts'
import {
  type Bus,
  BusUnavailable,
  type Fields,
  type OutgoingEntry,
  type StreamEntry,
  type WorkGroup,
} from './port.ts'
import { maxSeq, origin, parseId } from './position.ts'
import { openGroup } from './postgres-group.ts'
import { asBusError } from './postgres-outage.ts'
import { createPublisher } from './postgres-publish.ts'
import { adoptRestoredEvents } from './postgres-restore.ts'
import { openTail } from './postgres-tail.ts'
import { trimBelow, trimMark, trimToLength } from './postgres-trim.ts'
import { createWake } from './postgres-wake.ts'
import { createRides } from './rides.ts'

export interface PostgresBusOptions {
  readonly db: Database
  readonly log: Logger
  /** Safety net behind the signals, default 1000. */
  readonly pollMs?: number
}

export interface PostgresBus extends Bus {
  readonly driver: 'postgres'
  /** `bus_trim`: deletes what is beyond the length of the streams this process published to. */
  readonly jobs: readonly Job[]
}

const trimIntervalMs = 30_000

export function createPostgresBus({ db, log, pollMs = 1000 }: PostgresBusOptions): PostgresBus {
  const { sql } = db
  const wake = createWake(db, log, pollMs)
  const publisher = createPublisher(db.hotWrites, { onSend: wake.announce, onCommitted: wake.signal })
  const groups = new Set<ReturnType<typeof openGroup>>()
  const tails = new Set<AsyncDisposable>()
  /** Streams that grew since the last trim, with the length they should have. */
  const grown = new Map<string, number>()
  let adopted: Promise<void> | null = null

  /** Once per process and before anything is read: positions of another cluster would never be reached. */
  const adopt = (): Promise<void> => {
    adopted ??= adoptRestoredEvents(db, log).catch((error: unknown) => {
      adopted = null
      throw asBusError(error)
    })
    return adopted
  }

  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw asBusError(error)
    }
  }

  const grow = (entries: readonly OutgoingEntry[]): void => {
    for (const entry of entries) {
      if (entry.maxLength !== undefined) grown.set(entry.stream, entry.maxLength)
    }
  }

  const trimJob: Job = {
    name: 'bus_trim',
    intervalMs: trimIntervalMs,
    async run({ signal }) {
      for (const [stream, maxLength] of [...grown]) {
        if (signal.aborted) return
        grown.delete(stream)
        await trimToLength(sql, stream, maxLength)
      }
    },
  }

  return {
    driver: 'postgres',
    store: {
      database: db,
      announce: wake.announce,
      committed: wake.signal,
      written(entries) {
        grow(entries)
        const streams = [...new Set(entries.map((entry) => entry.stream))]
        wake.signal(streams)
        wake.tell(streams)
      },
      rides: createRides(),
    },
    jobs: [trimJob],

    publish(entries) {
      grow(entries)
      return publisher.publish(entries)
    },

    async ping() {
      try {
        await db.ping(1000)
      } catch (error) {
        throw new BusUnavailable('Postgres cannot be reached', { cause: error })
      }
    },

    tail: (options) =>
      guarded(async () => {
        await adopt()
        const tail = await openTail(db, wake, log, options)
        tails.add(tail)
        return {
          positioned: tail.positioned,
          async [Symbol.asyncDispose]() {
            tails.delete(tail)
            await tail[Symbol.asyncDispose]()
          },
        }
      }),

    group(stream, name): WorkGroup {
      const group = openGroup(db, wake, stream, name)
      groups.add(group)
      return {
        ...group,
        async ensure(from) {
          await adopt()
          await group.ensure(from)
        },
      }
    },

    groups: (stream) =>
      guarded(async () => {
        const rows = await sql<{ grp: string }[]>`
          select grp from bus_cursor where stream = ${stream} and grp <> ${trimMark} order by grp`
        return rows.map(({ grp }) => grp)
      }),

    length: (stream) =>
      guarded(async () => {
        const [row] = await sql<{ n: number }[]>`
          select count(*)::int as n from bus_event where stream = ${stream}`
        return row?.n ?? 0
      }),

    range: (stream, start, count) =>
      guarded(async () => {
        const exclusive = start.startsWith('(')
        const given = start === '-' ? origin : parseId(exclusive ? start.slice(1) : start)
        // Of an id of 64 bits without a sign, no entry is that far.
        const from = given.seq > maxSeq ? { ...given, seq: maxSeq } : given
        const rows = await sql<{ id: string; payload: Fields }[]>`
          select xid::text || '-' || seq::text as id, payload
          from bus_event
          where stream = ${stream}
            and (xid, seq) >= (${from.xid.toString()}::xid8, ${from.seq.toString()}::bigint)
            and not (${exclusive} and xid = ${from.xid.toString()}::xid8 and seq = ${from.seq.toString()}::bigint)
          order by xid, seq
          limit ${count}`
        return rows.map((row): StreamEntry => ({ id: row.id, stream, fields: row.payload }))
      }),

    remove: (stream, ids) =>
      guarded(async () => {
        if (ids.length === 0) return 0
        const deleted = await sql`
          delete from bus_event
          where stream = ${stream}
            and seq = any(${ids.map((id) => parseId(id).seq.toString())}::bigint[])`
        return deleted.count
      }),

    trim: (stream, bound) =>
      guarded(() =>
        'maxLength' in bound
          ? trimToLength(sql, stream, bound.maxLength)
          : trimBelow(sql, stream, bound.minId),
      ),

    async [Symbol.asyncDispose]() {
      for (const group of groups) group.close()
      for (const tail of [...tails]) await tail[Symbol.asyncDispose]()
      await publisher.idle()
      await wake[Symbol.asyncDispose]()
    },
  }
}
