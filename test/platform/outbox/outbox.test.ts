import pino from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Bus, OutgoingEntry, Published } from '../../../src/platform/bus/port.ts'
import { createPostgresBus, type PostgresBus } from '../../../src/platform/bus/postgres.ts'
import { verifyEntry } from '../../../src/platform/bus/signature.ts'
import type { Database } from '../../../src/platform/db/port.ts'
import { createOutbox, type RunningOutbox } from '../../../src/platform/outbox/outbox.ts'
import {
  claimRows,
  countDead,
  countRows,
  deletePublished,
  markPublished,
  readRow,
} from '../../../src/platform/outbox/rows.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { heard } from '../../fixtures/heard.ts'
import { jobContext } from '../../fixtures/job-context.ts'

const key = Buffer.alloc(32, 7)
const keys = { streams: { current: key, accepted: [key] } }
const log = pino({ level: 'silent' })
const settings = {
  OUTBOX_INTERVAL_MS: 1000,
  OUTBOX_BATCH_SIZE: 50,
  OUTBOX_MAX_ATTEMPTS: 3,
  OUTBOX_LOCK_SEC: 30,
  STREAMS_MAXLEN: 100_000,
  WORKER_ID: 'worker-1',
}
const topic = 'caracal.agents.lifecycle'

describe('outbox (audit-and-events §10)', () => {
  let database: TestDatabase
  let db: Database
  let bus: PostgresBus
  let outbox: RunningOutbox

  beforeEach(async () => {
    database = await createTestDatabase()
    db = database.db
    bus = createPostgresBus({ db, log })
    outbox = createOutbox({ db, bus, keys, settings, log })
  })

  afterEach(async () => {
    await outbox[Symbol.asyncDispose]()
    await bus[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  const enqueue = (events: Parameters<RunningOutbox['enqueue']>[2], on = outbox) =>
    db.transaction((tx) => on.enqueue(tx, 'coordinator', events))
  const iteration = jobContext()

  /** A bus that answers as told, in front of the real one. */
  const answering = (answer: (entry: OutgoingEntry) => Published | null, ping = async () => {}): Bus => ({
    ...bus,
    ping,
    async publish(entries) {
      const results: Published[] = []
      for (const entry of entries)
        results.push(answer(entry) ?? ((await bus.publish([entry]))[0] as Published))
      return results
    },
  })

  test('what commits is published once, flat, signed and in order; what rolls back is not', async () => {
    await enqueue([
      { topic, dedupeKey: 'spawn:1', payload: { zone_id: 'z', n: 1, list: ['a'], nothing: null, _sig: 'x' } },
      { topic, dedupeKey: 'spawn:2', payload: { zone_id: 'z', n: 2 }, requestId: 'r' },
    ])
    await expect(
      db.transaction(async (tx) => {
        await outbox.enqueue(tx, 'coordinator', [{ topic, payload: { n: 3 } }])
        throw new Error('rolled back')
      }),
    ).rejects.toThrow('rolled back')
    await outbox.dispatcher.tick(iteration)
    await outbox.dispatcher.tick(iteration)
    const entries = await bus.range(topic, '-', 10)
    expect(entries.map(({ fields: { outbox_id: _id, _sig, ...fields } }) => fields)).toEqual([
      { zone_id: 'z', n: '1', list: '["a"]', dedupe_key: 'spawn:1' },
      { zone_id: 'z', n: '2', dedupe_key: 'spawn:2' },
    ])
    expect(entries.every((entry) => verifyEntry(keys.streams, topic, entry.fields))).toBe(true)
    expect(await countRows(db)).toEqual({ pending: 0, published: 2, dead: 0 })
  })

  test('an event without a dedupe key carries its row id; the same key is stored once per producer and topic', async () => {
    const [id] = await enqueue([{ topic, payload: { a: '1' } }])
    await enqueue([{ topic, dedupeKey: 'k', payload: { a: '2' } }])
    await enqueue([{ topic, dedupeKey: 'k', payload: { a: '3' } }])
    await db.transaction((tx) =>
      outbox.enqueue(tx, 'control', [{ topic, dedupeKey: 'k', payload: { a: '4' } }]),
    )
    await outbox.dispatcher.tick(iteration)
    const entries = await bus.range(topic, '-', 10)
    expect(entries.map((entry) => entry.fields.a)).toEqual(['1', '2', '4'])
    expect(entries[0]?.fields).toMatchObject({ outbox_id: id, dedupe_key: id })
    expect(await readRow(db, id as string)).toMatchObject({
      status: 'published',
      attempts: 1,
      lastError: null,
    })
  })

  test('what is waiting and dead is counted among however much was published, without reading that', async () => {
    const { admin } = database
    await admin`
      insert into caracal_outbox (id, producer, topic, dedupe_key, payload_json, status)
      select n::text, case when n % 4 = 0 then 'control' else 'coordinator' end, ${topic}, n::text,
             jsonb_build_object('a', repeat('x', 200)),
             case when n <= 3 then 'pending' when n <= 5 then 'dead' else 'published' end
      from generate_series(1, 40000) as n`
    await admin`analyze caracal_outbox`
    const read = async () => {
      const [row] = await admin<{ n: number }[]>`
        select pg_stat_get_tuples_returned('caracal_outbox'::regclass)::int as n`
      return row?.n ?? 0
    }
    const counts = await db.transaction(async (tx) => {
      await tx.sql`select pg_stat_force_next_flush()`
      return await countRows(tx, 'coordinator')
    })
    expect(counts).toMatchObject({ pending: 3, dead: 1 })
    expect(Math.abs(counts.published - 29_996)).toBeLessThan(2_000)
    expect(await read()).toBeLessThan(1_000)
  })

  test('a commit wakes the dispatcher of this process and, by NOTIFY, of another one', async () => {
    const slow = { ...settings, OUTBOX_INTERVAL_MS: 600_000 }
    await using here = createOutbox({ db, bus, keys, settings: slow, log })
    await using elsewhere = createOutbox({ db, bus, keys, settings: { ...slow, WORKER_ID: 'worker-2' }, log })
    const running = new AbortController()
    await here.job.run(jobContext({ signal: running.signal }))
    await enqueue([{ topic, payload: { n: 1 } }], here)
    await eventually(async () => (await countRows(db)).published === 1, {
      what: 'published by its own process',
    })
    await enqueue([{ topic, payload: { n: 2 } }], elsewhere)
    await eventually(async () => (await countRows(db)).published === 2, {
      what: 'published by the other process',
    })
    running.abort()
    await enqueue([{ topic, payload: { n: 3 } }], here)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect((await countRows(db)).pending).toBe(1)
  })

  test('an outage costs no attempt and keeps no lease', async () => {
    await enqueue([{ topic, payload: { n: 1 } }])
    const down = answering(
      () => null,
      async () => {
        throw new Error('away')
      },
    )
    await using first = createOutbox({ db, bus: down, keys, settings, log })
    await first.dispatcher.tick(iteration)
    const lost = answering(() => ({ ok: false, reason: 'unavailable', message: 'gone' }))
    await using second = createOutbox({ db, bus: lost, keys, settings, log })
    for (let n = 0; n < 5; n += 1) await second.dispatcher.tick(iteration)
    const [row] = await db.sql`select status, attempts, locked_by, locked_until from caracal_outbox`
    expect(row).toEqual({ status: 'pending', attempts: 0, locked_by: null, locked_until: null })
    await outbox.dispatcher.tick(iteration)
    expect(await countRows(db)).toEqual({ pending: 0, published: 1, dead: 0 })
  })

  test('a refused row backs off, dies at the limit without holding up others, and can be requeued', async () => {
    const refusing = answering((entry) =>
      entry.fields.bad === undefined ? null : { ok: false, reason: 'rejected', message: 'no room' },
    )
    await using strict = createOutbox({ db, bus: refusing, keys, settings, log })
    const [id] = (await enqueue([
      { topic, payload: { bad: 1, zone_id: 'z' } },
      { topic, payload: { n: 2, zone_id: 'z' } },
    ])) as [string]
    await strict.dispatcher.tick(iteration)
    expect(await countRows(db)).toEqual({ pending: 1, published: 1, dead: 0 })
    const [row] = await db.sql`
      select attempts, last_error, extract(epoch from available_at - updated_at)::float8 as wait from caracal_outbox where id = ${id}`
    expect(row).toMatchObject({ attempts: 1, last_error: 'no room' })
    expect(row?.wait).toBeGreaterThanOrEqual(2)
    expect(row?.wait).toBeLessThanOrEqual(2.6)
    for (let n = 0; n < 2; n += 1) {
      await db.sql`update caracal_outbox set available_at = now()`
      await strict.dispatcher.tick(iteration)
    }
    expect(await countDead(db)).toBe(1)
    expect(await countDead(db, 'coordinator')).toBe(1)
    expect(await countDead(db, 'control')).toBe(0)
    await db.sql`update caracal_outbox set status = 'pending', attempts = 0, available_at = now(), locked_until = null where id = ${id}`
    await outbox.dispatcher.tick(iteration)
    expect(await readRow(db, id)).toMatchObject({ status: 'published', attempts: 1 })
  })

  test('what one run of the publisher says is on its log', async () => {
    const refusing = answering(() => ({ ok: false, reason: 'rejected', message: 'no room' }))
    const own = heard()
    await using strict = createOutbox({
      db,
      bus: refusing,
      keys,
      settings: { ...settings, OUTBOX_MAX_ATTEMPTS: 1 },
      log: own.log,
    })
    await enqueue([{ topic, payload: { n: 1, zone_id: 'z' } }])
    const run = heard()
    await strict.job.run(jobContext({ log: run.log }))
    expect(run.lines.map(({ msg }) => msg)).toEqual(['outbox_publish_rejected', 'outbox_rows_dead'])
    await enqueue([{ topic, payload: { n: 2, zone_id: 'z' } }], strict)
    await eventually(() => own.lines.length >= 2, { what: 'the second is dead' })
    // Woken by a commit it is no job's iteration, and a run all the same.
    expect(own.lines.map(({ msg }) => msg)).toEqual(['outbox_publish_rejected', 'outbox_rows_dead'])
    expect(own.lines[0]?.trace_id).toMatch(/^[0-9a-f]{32}$/)
    expect(own.lines[1]?.trace_id).toBe(own.lines[0]?.trace_id)
  })

  test('audit streams are published without a length', async () => {
    const seen: OutgoingEntry[] = []
    const watching = answering((entry) => {
      seen.push(entry)
      return null
    })
    await using watched = createOutbox({ db, bus: watching, keys, settings, log })
    await enqueue([
      { topic: 'caracal.audit.events', payload: { data: '{}' } },
      { topic: 'caracal.audit.events.dlq', payload: { data: '{}' } },
      { topic, payload: {} },
    ])
    await watched.dispatcher.tick(iteration)
    expect(seen.map((entry) => entry.maxLength)).toEqual([undefined, undefined, 100_000])
  })

  test('a row leased by a worker that died is published after its lease, a live lease is respected', async () => {
    const [id] = (await enqueue([{ topic, payload: { n: 1 } }])) as [string]
    expect(await claimRows(db, 'dead-worker', 10, 30)).toHaveLength(1)
    await outbox.dispatcher.tick(iteration)
    expect((await countRows(db)).pending).toBe(1)
    await db.sql`update caracal_outbox set locked_until = now() - interval '1 second'`
    await outbox.dispatcher.tick(iteration)
    // The first worker wakes up late: the row is no longer its own.
    await markPublished(db, 'dead-worker', [id])
    expect(await readRow(db, id)).toMatchObject({ status: 'published', attempts: 1 })
  })

  test('the dispatcher stops early when its lease runs short', async () => {
    await enqueue(Array.from({ length: 250 }, (_, n) => ({ topic, payload: { n } })))
    let trips = 0
    const slow: Bus = {
      ...bus,
      async publish(entries) {
        trips += 1
        await new Promise((resolve) => setTimeout(resolve, 700))
        return bus.publish(entries)
      },
    }
    await using short = createOutbox({
      db,
      bus: slow,
      keys,
      settings: { ...settings, OUTBOX_BATCH_SIZE: 250, OUTBOX_LOCK_SEC: 5.5 },
      log,
    })
    await short.dispatcher.tick(iteration)
    expect(trips).toBe(1)
    expect(await countRows(db)).toEqual({ pending: 150, published: 100, dead: 0 })
    const [row] = await db.sql<{ n: number }[]>`
      select count(*)::int as n from caracal_outbox where status = 'pending' and (attempts > 0 or locked_by is not null)`
    expect(row?.n).toBe(0)
  })

  test('the shortest lease that may be set is long enough', async () => {
    await enqueue(Array.from({ length: 3 }, (_, n) => ({ topic, payload: { n } })))
    await using short = createOutbox({ db, bus, keys, settings: { ...settings, OUTBOX_LOCK_SEC: 5 }, log })
    await short.dispatcher.tick(iteration)
    expect(await countRows(db)).toEqual({ pending: 0, published: 3, dead: 0 })
  })

  test('two workers publish every row exactly once', async () => {
    await using second = createOutbox({
      db,
      bus,
      keys,
      settings: { ...settings, WORKER_ID: 'worker-2' },
      log,
    })
    for (let n = 0; n < 10; n += 1) {
      await enqueue(Array.from({ length: 60 }, (_, m) => ({ topic, payload: { n: n * 60 + m } })))
    }
    await Promise.all([outbox.dispatcher.tick(iteration), second.dispatcher.tick(iteration)])
    expect(await countRows(db)).toEqual({ pending: 0, published: 600, dead: 0 })
    const entries = await bus.range(topic, '-', 1000)
    expect(new Set(entries.map((entry) => entry.fields.n)).size).toBe(600)
    expect(entries).toHaveLength(600)
  })

  test('retention deletes old published rows only, in bounds', async () => {
    await enqueue(Array.from({ length: 5 }, (_, n) => ({ topic, payload: { n } })))
    await outbox.dispatcher.tick(iteration)
    await enqueue([{ topic, payload: {} }])
    expect(await deletePublished(db, 7, 500)).toBe(0)
    await db.sql`
      update caracal_outbox
      set available_at = now() - interval '8 days', updated_at = now() - interval '8 days'`
    expect(await deletePublished(db, 7, 3)).toBe(3)
    expect(await deletePublished(db, 7, 500)).toBe(2)
    expect(await countRows(db)).toEqual({ pending: 1, published: 0, dead: 0 })
  })
})
