import pino from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createPostgresBus, type PostgresBus } from '../../../src/platform/bus/postgres.ts'
import { verifyEntry } from '../../../src/platform/bus/signature.ts'
import type { Tx } from '../../../src/platform/db/port.ts'
import { createOutbox, type RunningOutbox } from '../../../src/platform/outbox/outbox.ts'
import { readRow } from '../../../src/platform/outbox/rows.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
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

describe('events of a transaction where the bus is its store (audit-and-events §10)', () => {
  let database: TestDatabase
  let bus: PostgresBus
  let outbox: RunningOutbox

  beforeEach(async () => {
    database = await createTestDatabase()
    bus = createPostgresBus({ db: database.db, log })
    outbox = createOutbox({ db: database.db, bus, keys, settings, log })
  })

  afterEach(async () => {
    await outbox[Symbol.asyncDispose]()
    await bus[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  const publish = (events: Parameters<RunningOutbox['enqueue']>[2], before?: (tx: Tx) => Promise<unknown>) =>
    outbox.transaction(database.db, async (tx) => {
      await before?.(tx)
      return await outbox.enqueue(tx, 'coordinator', events)
    })

  test('the commit publishes: signed, in order, each dedupe key once, and nothing of what rolls back', async () => {
    const [first] = await publish([
      { topic, dedupeKey: 'spawn:1', payload: { zone_id: 'z', n: 1, list: ['a'], text: 'a\nb', _sig: 'x' } },
      { topic, dedupeKey: 'spawn:2', payload: { zone_id: 'z', n: 2 }, requestId: 'r' },
    ])
    await publish([
      { topic, dedupeKey: 'spawn:1', payload: { zone_id: 'z', n: 3 } },
      { topic, dedupeKey: 'spawn:3', payload: { zone_id: 'z', n: 4 } },
    ])
    await expect(
      outbox.transaction(database.db, async (tx) => {
        await outbox.enqueue(tx, 'coordinator', [{ topic, payload: { n: 5 } }])
        throw new Error('rolled back')
      }),
    ).rejects.toThrow('rolled back')
    const entries = await bus.range(topic, '-', 10)
    expect(entries.map(({ fields: { outbox_id: _id, _sig, ...fields } }) => fields)).toEqual([
      { zone_id: 'z', n: '1', list: '["a"]', text: 'a b', dedupe_key: 'spawn:1' },
      { zone_id: 'z', n: '2', dedupe_key: 'spawn:2' },
      { zone_id: 'z', n: '4', dedupe_key: 'spawn:3' },
    ])
    expect(entries.every((entry) => verifyEntry(keys.streams, topic, entry.fields))).toBe(true)
    expect(entries[0]?.fields.outbox_id).toBe(first)
    expect(await readRow(database.db, first as string)).toMatchObject({
      status: 'published',
      attempts: 1,
      payload: { n: 1, list: ['a'] },
    })
    await outbox.dispatcher.tick(jobContext())
    expect(await bus.range(topic, '-', 10)).toHaveLength(3)
  })

  test('a reader misses no entry of a transaction that began before others and committed after them', async () => {
    await using readers = createPostgresBus({ db: database.db, log })
    const group = readers.group(topic, 'readers')
    await group.ensure('start')
    const got: string[] = []
    const stop = new AbortController()
    const reading = (async () => {
      while (!stop.signal.aborted) {
        const read = await group.read({ consumer: 'one', count: 10, blockMs: 200, signal: stop.signal })
        got.push(...read.map(({ fields }) => fields.n as string))
        await group.ack(read.map(({ id }) => id))
      }
    })()
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    let drawn: () => void = () => undefined
    const began = new Promise<void>((resolve) => {
      drawn = resolve
    })
    const slow = publish([{ topic, payload: { n: 'slow' } }], async (tx) => {
      await tx.sql`select pg_current_xact_id()`
      drawn()
      await gate
    })
    await began
    for (const n of ['a', 'b']) await publish([{ topic, payload: { n } }])
    // Long enough for the readers to ask for the tighter bound (postgres-horizon.ts).
    await new Promise((resolve) => setTimeout(resolve, 400))
    open()
    await slow
    await publish([{ topic, payload: { n: 'c' } }])
    await eventually(() => got.length === 4, { what: 'four entries' })
    expect([...got].sort()).toEqual(['a', 'b', 'c', 'slow'])
    stop.abort()
    await reading
  })

  test('a reader of another process hears of the commit before its next look', async () => {
    await using elsewhere = createPostgresBus({ db: database.db, log, pollMs: 60_000 })
    const seen: string[] = []
    const tail = await elsewhere.tail({
      streams: [topic],
      from: 'end',
      onEntries: (entries) => {
        seen.push(...entries.map(({ fields }) => fields.n as string))
      },
      onGap: () => undefined,
    })
    await tail.positioned
    for (let n = 0; n < 5; n += 1) await publish([{ topic, payload: { n } }])
    await eventually(() => seen.length === 5, { what: 'five entries' })
    expect(seen).toEqual(['0', '1', '2', '3', '4'])
  })
})
