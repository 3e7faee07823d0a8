/**
 * Ephemera on the unlogged table `ephemera` (storage-and-operations §7.5). The
 * calls of one tick share one statement per kind; keys of a batch are written in
 * key order so that concurrent batches of several processes cannot deadlock.
 * Expired rows read as absent at once and are deleted by a job.
 */
import type { Logger } from 'pino'
import { createCoalescer } from '../bus/coalesce.ts'
import type { Database } from '../db/port.ts'
import type { Job } from '../jobs/job.ts'
import { type Counter, type Ephemera, EphemeraUnavailable } from './port.ts'
import { askStore, wholeMs } from './postgres-ask.ts'
import { createPostgresReplay } from './postgres-replay.ts'
import { createWindowCounts } from './postgres-windows.ts'

export interface PostgresEphemeraOptions {
  readonly db: Database
  readonly log: Logger
}

export interface PostgresEphemera extends Ephemera {
  readonly driver: 'postgres'
  /** `ephemera_sweep`: deletes expired rows in batches. */
  readonly jobs: readonly Job[]
}

const maxBatch = 500
const sweepIntervalMs = 30_000
const sweepBatch = 2000

interface Write {
  readonly key: string
  readonly value: string
  readonly ttlMs: number
}

export function createPostgresEphemera({ db, log }: PostgresEphemeraOptions): PostgresEphemera {
  const { hot: sql } = db

  const columns = (writes: readonly Write[]) => ({
    keys: writes.map((write) => write.key),
    values: writes.map((write) => write.value),
    ttls: writes.map((write) => wholeMs(write.ttlMs)),
  })

  const claims = createCoalescer<Write, boolean>({
    maxItems: maxBatch,
    flush: async (writes) => {
      // Within a batch the first one wins, as it would one by one.
      const first = new Map<string, Write>()
      for (const write of writes) if (!first.has(write.key)) first.set(write.key, write)
      const { keys, values, ttls } = columns([...first.values()])
      const rows = await askStore(
        sql<{ key: string }[]>`
          insert into ephemera (key, value, expires_at)
          select k, v, now() + ttl * interval '1 millisecond'
          from unnest(${keys}::text[], ${values}::text[], ${ttls}::float8[]) as t(k, v, ttl)
          order by k
          on conflict (key) do update
          set value = excluded.value, counter = 0, expires_at = excluded.expires_at
          where ephemera.expires_at <= now()
          returning key`,
      )
      const won = new Set(rows.map((row) => row.key))
      return writes.map((write) => first.get(write.key) === write && won.has(write.key))
    },
  })

  const sets = createCoalescer<Write, null>({
    maxItems: maxBatch,
    // Two batches in flight could overtake each other; the last write of a key must stay the last.
    maxInFlight: 1,
    flush: async (writes) => {
      const last = new Map(writes.map((write) => [write.key, write]))
      const { keys, values, ttls } = columns([...last.values()])
      await askStore(
        sql`
          insert into ephemera (key, value, expires_at)
          select k, v, now() + ttl * interval '1 millisecond'
          from unnest(${keys}::text[], ${values}::text[], ${ttls}::float8[]) as t(k, v, ttl)
          order by k
          on conflict (key) do update
          set value = excluded.value, counter = 0, expires_at = excluded.expires_at`,
      )
      return writes.map(() => null)
    },
  })

  const gets = createCoalescer<string, string | null>({
    maxItems: maxBatch,
    flush: async (keys) => {
      const rows = await askStore(
        sql<{ key: string; value: string | null }[]>`
          select key, value from ephemera
          where key = any(${[...new Set(keys)]}::text[])
            and (expires_at is null or expires_at > now())`,
      )
      const found = new Map(rows.map((row) => [row.key, row.value]))
      return keys.map((key) => found.get(key) ?? null)
    },
  })

  const counters = createCoalescer<{ key: string; windowMs: number; by: number }, Counter>({
    maxItems: maxBatch,
    flush: async (calls) => {
      const sums = new Map<string, { n: number; windowMs: number }>()
      for (const { key, windowMs, by } of calls) {
        sums.set(key, { n: (sums.get(key)?.n ?? 0) + by, windowMs: sums.get(key)?.windowMs ?? windowMs })
      }
      const keys = [...sums.keys()]
      const rows = await askStore(
        sql<{ key: string; counter: string; remaining: number }[]>`
          insert into ephemera as e (key, counter, expires_at)
          select k, n, now() + ttl * interval '1 millisecond'
          from unnest(${keys}::text[],
                      ${keys.map((key) => sums.get(key)?.n ?? 0)}::bigint[],
                      ${keys.map((key) => wholeMs(sums.get(key)?.windowMs ?? 1))}::float8[]) as t(k, n, ttl)
          order by k
          on conflict (key) do update
          set counter = excluded.counter
                + case when e.expires_at > now() then e.counter else 0 end,
              expires_at = case when e.expires_at > now() then e.expires_at else excluded.expires_at end
          returning key, counter,
            -- now() is the start of this statement, which can lie before the call that opened the window
            (extract(epoch from expires_at - clock_timestamp()) * 1000)::float8 as remaining`,
      )
      const after = new Map(rows.map((row) => [row.key, row]))
      // Callers of one key in one batch get consecutive counts, in call order.
      const left = new Map([...sums].map(([key, sum]) => [key, sum.n]))
      return calls.map(({ key, by }) => {
        const row = after.get(key)
        if (row === undefined) throw new Error('counter row missing')
        const behind = (left.get(key) ?? by) - by
        left.set(key, behind)
        return { count: Number(row.counter) - behind, remainingMs: Math.max(0, Math.round(row.remaining)) }
      })
    },
  })

  const windows = createWindowCounts(db)

  const sweep: Job = {
    name: 'ephemera_sweep',
    intervalMs: sweepIntervalMs,
    async run({ signal }) {
      while (!signal.aborted) {
        const deleted = await sql`
          delete from ephemera
          where key = any(array(
            select key from ephemera
            where expires_at <= now()
            order by expires_at
            limit ${sweepBatch}
            for update skip locked))`
        if (deleted.count < sweepBatch) return
      }
    },
  }

  return {
    driver: 'postgres',
    database: db,
    jobs: [sweep],
    replay: createPostgresReplay(db, log),

    async ping() {
      await askStore(db.ping(1000).catch((error: unknown) => Promise.reject(away(error))))
    },
    setIfAbsent: (key, value, ttlMs) => claims.add({ key, value, ttlMs }),
    async set(key, value, ttlMs) {
      await sets.add({ key, value, ttlMs })
    },
    get: (key) => gets.add(key),
    async take(key) {
      const [row] = await askStore(
        sql<{ value: string | null; live: boolean }[]>`
          delete from ephemera
          where key = ${key}
          returning value, expires_at is null or expires_at > now() as live`,
      )
      return row?.live === true ? row.value : null
    },
    async delete(key) {
      await askStore(sql`delete from ephemera where key = ${key}`)
    },
    async extendIfEquals(key, value, ttlMs) {
      const extended = await askStore(
        sql`
          update ephemera
          set expires_at = now() + ${wholeMs(ttlMs)}::float8 * interval '1 millisecond'
          where key = ${key} and value = ${value} and expires_at > now()`,
      )
      return extended.count > 0
    },
    async deleteIfEquals(key, value) {
      const deleted = await askStore(
        sql`
          delete from ephemera
          where key = ${key} and value = ${value} and (expires_at is null or expires_at > now())`,
      )
      return deleted.count > 0
    },
    async raise(key, decimal, ttlMs) {
      await askStore(
        sql`
          insert into ephemera as e (key, value, expires_at)
          values (${key}, ${decimal}, now() + ${wholeMs(ttlMs)}::float8 * interval '1 millisecond')
          on conflict (key) do update
          set value = case
                when e.expires_at > now() and e.value::numeric > excluded.value::numeric then e.value
                else excluded.value end,
              counter = 0,
              expires_at = excluded.expires_at`,
      )
    },
    increment: (key, windowMs, by = 1) => counters.add({ key, windowMs, by }),
    countInWindow: (key, windowMs) => windows.add({ key, windowMs }),

    async [Symbol.asyncDispose]() {
      await Promise.all([claims.idle(), sets.idle(), gets.idle(), counters.idle(), windows.idle()])
    },
  }
}

function away(error: unknown): EphemeraUnavailable {
  return new EphemeraUnavailable('Postgres cannot be reached', { cause: error })
}
