import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ConsumerOptions, createConsumer } from '../../../src/platform/bus/consume.ts'
import type { Bus, ClaimedEntry } from '../../../src/platform/bus/port.ts'
import { signEntry, verifyEntry } from '../../../src/platform/bus/signature.ts'
import type { Database } from '../../../src/platform/db/port.ts'
import { createPostgresEphemera, type PostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { createPostgresStore, type PostgresStore, silent } from './postgres-store.ts'

const secret = Buffer.alloc(32, 9)
const key = { current: secret, accepted: [secret] }

describe('consumer of a work group (audit-and-events §11.1)', () => {
  let store: PostgresStore
  let bus: Bus
  let db: Database
  let ephemera: PostgresEphemera

  beforeAll(async () => {
    store = await createPostgresStore()
    bus = await store.open()
    db = await store.openDatabase()
    ephemera = createPostgresEphemera({ db, log: silent })
  })

  afterAll(async () => {
    await ephemera[Symbol.asyncDispose]()
    await bus[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
    await store[Symbol.asyncDispose]()
  })

  const setUp = (overrides: Partial<ConsumerOptions> & Pick<ConsumerOptions, 'handle'>) => {
    const stream = `test.${randomUUID()}`
    const consumer = createConsumer({
      bus,
      ephemera,
      key,
      log: silent,
      stream,
      group: 'g',
      consumer: 'c',
      from: 'start',
      batchSize: 10,
      blockMs: 50,
      ...overrides,
    })
    const publish = (fields: Record<string, string>) =>
      bus.publish([{ stream, fields: signEntry(key, stream, fields) }])
    return { stream, consumer, publish, group: bus.group(stream, 'g') }
  }

  test('an entry is acknowledged after its effect, not before', async () => {
    const done: string[] = []
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const { consumer, publish, group } = setUp({
      async handle(entry) {
        await gate
        done.push(entry.fields.a as string)
      },
    })
    await consumer.start()
    await publish({ a: '1' })
    await eventually(async () => (await group.stats()).pending === 1, { what: 'handed out' })
    release()
    await eventually(async () => (await group.stats()).pending === 0, { what: 'acknowledged' })
    expect(done).toEqual(['1'])
    expect(consumer.healthy).toBe(true)
    await consumer[Symbol.asyncDispose]()
  })

  test('an entry nobody with the key wrote is dropped unseen and counted', async () => {
    const seen: ClaimedEntry[] = []
    const { stream, consumer, publish, group } = setUp({
      async handle(entry) {
        seen.push(entry)
      },
    })
    await bus.publish([
      { stream, fields: { a: 'unsigned' } },
      { stream, fields: { ...signEntry(key, stream, { a: 'x' }), a: 'changed' } },
      { stream, fields: signEntry(key, 'another.stream', { a: 'moved' }) },
    ])
    await publish({ a: 'good' })
    await consumer.start()
    await eventually(
      async () => {
        const stats = await group.stats()
        return stats.pending === 0 && stats.undelivered === 0
      },
      { what: 'settled' },
    )
    expect(seen.map((entry) => entry.fields.a)).toEqual(['good'])
    expect(consumer.stats()).toMatchObject({ handled: 1, invalidSignatures: 3, deadLettered: 0 })
    await consumer[Symbol.asyncDispose]()
  })

  test('an entry that fails comes back, and after five failures lies signed in the dead letters', async () => {
    let tries = 0
    const { stream, consumer, publish, group } = setUp({
      reclaimMs: 20,
      async handle(entry) {
        if (entry.fields.a === 'poison') {
          tries += 1
          throw new Error('cannot\nbe done')
        }
      },
    })
    await publish({ a: 'poison' })
    await publish({ a: 'fine' })
    const [poison] = await bus.range(stream, '-', 1)
    await consumer.start()
    await eventually(() => consumer.stats().deadLettered === 1, { what: 'dead-lettered' })
    await eventually(async () => (await group.stats()).pending === 0, { what: 'acknowledged' })
    expect(tries).toBe(5)
    const [letter] = await bus.range(`${stream}.dead`, '-', 10)
    expect(letter?.fields).toMatchObject({
      original_id: poison?.id,
      error: 'cannot be done',
      values: JSON.stringify(poison?.fields),
    })
    expect(verifyEntry(key, `${stream}.dead`, letter?.fields ?? {})).toBe(true)
    expect(await ephemera.get(`stream-failure:${stream}:${poison?.id}`)).toBeNull()
    await consumer[Symbol.asyncDispose]()
  })

  test.each([
    ['refuses connections', 'ECONNREFUSED'],
    ['cuts its statements off', '57014'],
  ])('an entry waits as long as it takes for a store that %s', async (_what, code) => {
    let tries = 0
    const { stream, consumer, publish, group } = setUp({
      reclaimMs: 10,
      async handle() {
        tries += 1
        if (tries <= 7) throw Object.assign(new Error('away'), { code })
      },
    })
    await publish({ a: '1' })
    await consumer.start()
    await eventually(() => consumer.stats().handled === 1, { what: 'handled' })
    await eventually(async () => (await group.stats()).pending === 0, { what: 'acknowledged' })
    expect(await bus.length(`${stream}.dead`)).toBe(0)
    await consumer[Symbol.asyncDispose]()
  })

  test('a dead letter that cannot be written leaves the entry pending', async () => {
    const { stream, consumer, publish, group } = setUp({
      bus: {
        ...bus,
        publish: async (entries) =>
          entries.map(() => ({ ok: false, reason: 'unavailable', message: 'away' })),
      },
      reclaimMs: 10,
      async handle() {
        throw new Error('no')
      },
    })
    await publish({ a: '1' })
    await consumer.start()
    await eventually(() => consumer.stats().failed >= 7, { what: 'failed often' })
    expect(await group.stats()).toMatchObject({ pending: 1 })
    expect(await bus.length(`${stream}.dead`)).toBe(0)
    await consumer[Symbol.asyncDispose]()
  })

  test('what an earlier process left pending is taken over at start', async () => {
    const done: string[] = []
    const { consumer, publish, group } = setUp({
      reclaimMs: 20,
      async handle(entry) {
        done.push(entry.fields.a as string)
      },
    })
    await group.ensure('start')
    await publish({ a: 'left' })
    await group.read({ consumer: 'crashed', count: 1, blockMs: 1000, signal: new AbortController().signal })
    await consumer.start()
    await eventually(() => done.length === 1, { what: 'taken over' })
    await consumer[Symbol.asyncDispose]()
  })

  test('after the group was lost it is made anew and the owner reloads, again until it succeeds', async () => {
    let resets = 0
    const done: string[] = []
    const { consumer, publish } = setUp({
      async handle(entry) {
        done.push(entry.fields.a as string)
      },
      async onReset() {
        resets += 1
        if (resets === 1) throw new Error('reload failed')
      },
    })
    await consumer.start()
    await publish({ a: '1' })
    await eventually(() => done.length === 1, { what: 'handled' })
    await store.wipe()
    await eventually(() => consumer.stats().resets === 1, { what: 'reset' })
    expect(resets).toBe(2)
    await publish({ a: '2' })
    await eventually(() => done.includes('2'), { what: 'handled' })
    await consumer[Symbol.asyncDispose]()
  })
})
