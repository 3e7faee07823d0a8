import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Bus, ClaimedEntry } from '../../../src/platform/bus/port.ts'
import { createPostgresBus } from '../../../src/platform/bus/postgres.ts'
import { createPublisher } from '../../../src/platform/bus/postgres-publish.ts'
import type { Database } from '../../../src/platform/db/port.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { createPostgresStore, type PostgresStore, silent } from './postgres-store.ts'

const forever = new AbortController().signal

describe('order and cost of the bus on Postgres', () => {
  let store: PostgresStore
  let bus: Bus
  let db: Database

  beforeAll(async () => {
    store = await createPostgresStore()
    bus = await store.open()
    db = await store.openDatabase()
  })

  afterAll(async () => {
    await bus[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
    await store[Symbol.asyncDispose]()
  })

  const put = (
    sql: Database['sql'] | Parameters<Parameters<Database['transaction']>[0]>[0]['sql'],
    stream: string,
    n: number,
  ) =>
    sql`insert into bus_event (stream, payload) values (${stream}, ${JSON.stringify({ n: String(n) })}::jsonb)`

  /** A transaction that wrote and waits. */
  const open = async (
    write: (sql: Parameters<Parameters<Database['transaction']>[0]>[0]['sql']) => Promise<unknown>,
  ) => {
    let commit: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      commit = resolve
    })
    let written: () => void = () => undefined
    const wrote = new Promise<void>((resolve) => {
      written = resolve
    })
    const ended = db.transaction(async (tx) => {
      await write(tx.sql)
      written()
      await gate
    })
    await wrote
    return async () => {
      commit()
      await ended
    }
  }

  test('what is pending already is handed out again where the cursor was moved back', async () => {
    const stream = `test.${randomUUID()}`
    const group = bus.group(stream, 'workers')
    await group.ensure('start')
    const read = async (n: number) => {
      const entries: ClaimedEntry[] = []
      while (entries.length < n)
        entries.push(...(await group.read({ consumer: 'one', count: 10, blockMs: 5000, signal: forever })))
      return entries
    }
    for (const n of [1, 2]) await put(db.sql, stream, n)
    bus.store?.committed([stream])
    const first = await read(2)
    await db.sql`update bus_cursor set xid = '0', seq = 0 where stream = ${stream}`
    await put(db.sql, stream, 3)
    bus.store?.committed([stream])
    const again = await read(3)
    expect(again.map(({ fields }) => fields.n)).toEqual(['1', '2', '3'])
    expect(again.slice(0, 2).map(({ id }) => id)).toEqual(first.map(({ id }) => id))
    await group.ack(again.map(({ id }) => id))
    expect(await group.stats()).toMatchObject({ pending: 0, undelivered: 0 })
  })

  test('a call larger than a statement keeps its order when its first statement is slow', async () => {
    const stream = `test.${randomUUID()}`
    let statements = 0
    const slowFirst = ((...args: Parameters<Database['sql']>) => {
      statements += 1
      const delay = statements === 1 ? 100 : 0
      return new Promise((resolve) => setTimeout(resolve, delay)).then(() => db.sql(...args))
    }) as unknown as Database['sql']
    const publisher = createPublisher(slowFirst, { onSend: () => [], onCommitted: () => undefined })
    const entry = (n: number) => ({ stream, fields: { n: String(n) } })
    const counted = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, at) => entry(from + at))
    const order = async () =>
      (await bus.range(stream, '-', 3000)).map(({ fields }) => Number(fields.n)).filter((n) => n >= 0)

    const results = await publisher.publish(counted(0, 1200))
    expect(results.map((one) => one.ok && one.id)).toEqual(
      (await bus.range(stream, '-', 3000)).map(({ id }) => id),
    )
    expect(await order()).toEqual(Array.from({ length: 1200 }, (_, n) => n))

    // One that does not fit into what is waiting goes as a whole with the next statement.
    statements = 0
    const first = publisher.publish(Array.from({ length: 300 }, () => entry(-1)))
    await Promise.all([first, publisher.publish(counted(1200, 1600))])
    expect(await order()).toEqual(Array.from({ length: 1600 }, (_, n) => n))
    await publisher.idle()
  })

  test('a number that was drawn early and committed late is not passed by', async () => {
    const stream = `test.${randomUUID()}`
    const seen: number[] = []
    const group = bus.group(stream, 'g')
    await group.ensure('end')
    const tail = await bus.tail({
      streams: [stream],
      from: 'end',
      onEntries: (entries) => void seen.push(...entries.map((entry) => Number(entry.fields.n))),
      onGap() {},
    })
    const read = async () => {
      const entries = await group.read({ consumer: 'c', count: 10, blockMs: 2000, signal: forever })
      return entries.map((entry) => Number(entry.fields.n))
    }
    const [drawn] = await store.admin<{ seq: string }[]>`
      select nextval(pg_get_serial_sequence('bus_event', 'seq')) as seq`
    await bus.publish([{ stream, fields: { n: '2' } }])
    await eventually(() => seen.length === 1, { what: 'the later number arrived' })
    expect(await read()).toEqual([2])
    await store.admin`
      insert into bus_event (seq, stream, payload) overriding system value
      values (${drawn?.seq as string}::bigint, ${stream}, '{"n":"1"}'::jsonb)`
    await eventually(() => seen.length === 2, { what: 'the earlier number arrived' })
    expect(await read()).toEqual([1])
    await tail[Symbol.asyncDispose]()
  })

  test('nothing above a running transaction is handed out, and nothing of it is missed afterwards', async () => {
    const stream = `test.${randomUUID()}`
    const seen: number[] = []
    const group = bus.group(stream, 'g')
    await group.ensure('end')
    const tail = await bus.tail({
      streams: [stream],
      from: 'end',
      onEntries: (entries) => void seen.push(...entries.map((entry) => Number(entry.fields.n))),
      onGap() {},
    })
    // First in line for a transaction id, last for a number.
    const commitEarly = await open((sql) => put(sql, `other.${stream}`, 0))
    const commitLow = await open((sql) => put(sql, stream, 1))
    await put(db.sql, stream, 2)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await commitEarly()
    await put(db.sql, stream, 3)
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(seen).toEqual([])
    await commitLow()
    await eventually(() => seen.length === 3, { what: 'all three' })
    expect([...seen].sort()).toEqual([1, 2, 3])
    const grouped: number[] = []
    while (grouped.length < 3) {
      const entries = await group.read({ consumer: 'c', count: 10, blockMs: 2000, signal: forever })
      grouped.push(...entries.map((entry) => Number(entry.fields.n)))
    }
    expect(grouped).toEqual(seen)
    await tail[Symbol.asyncDispose]()
  })

  test('16 writers that stay open and commit in another order lose nothing', async () => {
    const stream = `test.${randomUUID()}`
    const seen: number[] = []
    const tail = await bus.tail({
      streams: [stream],
      from: 'end',
      onEntries: (entries) => void seen.push(...entries.map((entry) => Number(entry.fields.n))),
      onGap() {},
    })
    const wide = await Promise.all([store.openDatabase(), store.openDatabase()])
    await Promise.all(
      Array.from({ length: 16 }, async (_, writer) => {
        for (let n = 0; n < 10; n += 1) {
          await (wide[writer % 2] as Database).transaction(async (tx) => {
            await put(tx.sql, stream, writer * 10 + n)
            await new Promise((resolve) => setTimeout(resolve, ((writer * 7 + n * 3) % 11) * 3))
          })
        }
      }),
    )
    await eventually(() => seen.length >= 160, { what: 'all arrived' })
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 160 }, (_, n) => n))
    await tail[Symbol.asyncDispose]()
    for (const database of wide) await database[Symbol.asyncDispose]()
  })

  test('a transaction that stays open and writes something else holds nothing back for long', async () => {
    const stream = `test.${randomUUID()}`
    const commit = await open((sql) => sql`select pg_current_xact_id()`)
    const seen: string[] = []
    const tail = await bus.tail({
      streams: [stream],
      from: 'end',
      onEntries: (entries) => void seen.push(...entries.map((entry) => entry.fields.n as string)),
      onGap() {},
    })
    const group = bus.group(stream, 'g')
    await group.ensure('end')
    const started = performance.now()
    await bus.publish([{ stream, fields: { n: '1' } }])
    await eventually(() => seen.length === 1, { what: 'tailed' })
    const entries = await group.read({ consumer: 'c', count: 10, blockMs: 5000, signal: forever })
    expect(entries.map((entry) => entry.fields.n)).toEqual(['1'])
    expect(performance.now() - started).toBeLessThan(8000)
    // A second group made while it is open does not see what came before.
    const late = bus.group(stream, 'late')
    await late.ensure('end')
    await bus.publish([{ stream, fields: { n: '2' } }])
    const after = await late.read({ consumer: 'c', count: 10, blockMs: 5000, signal: forever })
    expect(after.map((entry) => entry.fields.n)).toEqual(['2'])
    await commit()
    await tail[Symbol.asyncDispose]()
  })

  test('nothing is lost while a foreign transaction stays open under load', async () => {
    const stream = `test.${randomUUID()}`
    const commit = await open((sql) => sql`select pg_current_xact_id()`)
    const seen: number[] = []
    const tail = await bus.tail({
      streams: [stream],
      from: 'end',
      onEntries: (entries) => void seen.push(...entries.map((entry) => Number(entry.fields.n))),
      onGap() {},
    })
    const others = await Promise.all([store.open(), store.open()])
    const buses = [bus, ...others]
    await Promise.all(
      Array.from({ length: 16 }, async (_, writer) => {
        for (let n = 0; n < 60; n += 1) {
          await buses[writer % 3]?.publish([{ stream, fields: { n: String(writer * 60 + n) } }])
          await new Promise((resolve) => setTimeout(resolve, n % 7))
        }
      }),
    )
    await eventually(() => seen.length >= 960, { what: 'all arrived' })
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 960 }, (_, n) => n))
    await commit()
    await tail[Symbol.asyncDispose]()
    for (const other of others) await other[Symbol.asyncDispose]()
  })

  test('an entry becomes final soon after the transaction that held it back, without waiting for a poll', async () => {
    const stream = `test.${randomUUID()}`
    await using slowPoll = createPostgresBus({ db, log: silent, pollMs: 60_000 })
    let seen = 0
    const tail = await slowPoll.tail({
      streams: [stream],
      from: 'end',
      onEntries: () => {
        seen = performance.now()
      },
      onGap() {},
    })
    const commit = await open((sql) => sql`select pg_current_xact_id()`)
    await slowPoll.publish([{ stream, fields: { n: '1' } }])
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(seen).toBe(0)
    const committed = performance.now()
    await commit()
    await eventually(() => seen > 0, { what: 'delivered' })
    expect(seen - committed).toBeLessThan(8000)
    await tail[Symbol.asyncDispose]()
  })

  test('a reader that was overtaken by a trim is told', async () => {
    const stream = `test.${randomUUID()}`
    let gaps = 0
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const seen: number[] = []
    const tail = await bus.tail({
      streams: [stream],
      from: 'start',
      async onEntries(entries) {
        seen.push(...entries.map((entry) => Number(entry.fields.n)))
        await gate
      },
      onGap() {
        gaps += 1
      },
    })
    await bus.publish([{ stream, fields: { n: '0' } }])
    await eventually(() => seen.length === 1, { what: 'busy' })
    await bus.publish(Array.from({ length: 50 }, (_, n) => ({ stream, fields: { n: String(n + 1) } })))
    await bus.trim(stream, { maxLength: 5 })
    release()
    await eventually(() => seen.includes(50), { what: 'the rest arrived' })
    expect(gaps).toBe(1)
    expect(seen).toEqual([0, 46, 47, 48, 49, 50])
    await tail[Symbol.asyncDispose]()
  })

  test('a store restored from a dump of another cluster delivers again', async () => {
    const stream = `test.${randomUUID()}`
    const group = bus.group(stream, 'g')
    await group.ensure('start')
    await bus.publish([{ stream, fields: { n: '1' } }])
    await group.read({ consumer: 'c', count: 10, blockMs: 1000, signal: forever })
    // Transaction ids of a cluster that was far ahead.
    await store.admin`update bus_event set xid = (xid::text::bigint + 1000000000)::text::xid8 where stream = ${stream}`
    await store.admin`update bus_cursor set xid = (xid::text::bigint + 1000000000)::text::xid8 where stream = ${stream}`
    await using restarted = createPostgresBus({ db, log: silent })
    const again = restarted.group(stream, 'g')
    await again.ensure('end')
    await restarted.publish([{ stream, fields: { n: '2' } }])
    const seen: string[] = []
    while (seen.length < 2) {
      const entries = await again.read({ consumer: 'c', count: 10, blockMs: 2000, signal: forever })
      seen.push(...entries.map((entry) => entry.fields.n as string))
    }
    expect(seen).toEqual(['1', '2'])
  })

  test('an idle process asks the store about once a second, however much it reads', async () => {
    const idle = await store.openDatabase()
    let queries = 0
    const counting: Database = {
      ...idle,
      sql: new Proxy(idle.sql, {
        apply(target, self, args) {
          queries += 1
          return Reflect.apply(target as never, self, args)
        },
      }),
    }
    const reader = createPostgresBus({ db: counting, log: silent })
    const stop = new AbortController()
    const streams = Array.from({ length: 6 }, () => `test.${randomUUID()}`)
    const tails = await Promise.all(
      streams.map((stream) => reader.tail({ streams: [stream], from: 'end', onEntries() {}, onGap() {} })),
    )
    const readers = streams.map(async (stream) => {
      const group = reader.group(stream, 'g')
      await group.ensure('end')
      while (!stop.signal.aborted) {
        await group.read({ consumer: 'c', count: 10, blockMs: 100, signal: stop.signal })
      }
    })
    await new Promise((resolve) => setTimeout(resolve, 1500))
    queries = 0
    const began = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 3000))
    expect(queries).toBeLessThanOrEqual(Math.ceil((performance.now() - began) / 1000) + 2)
    stop.abort()
    await Promise.all(readers)
    for (const tail of tails) await tail[Symbol.asyncDispose]()
    await reader[Symbol.asyncDispose]()
    await idle[Symbol.asyncDispose]()
  })
})
