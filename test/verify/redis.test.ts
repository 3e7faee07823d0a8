/** sdk-cli-console §16, checks 37 and 38: revocations through Redis. */
import { randomUUID } from 'node:crypto'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  createDelegationEpochConsumer,
  createRevocationConsumer,
  RedisRevocationStore,
  signStreamEntry,
} from '../../src/verify/redis.ts'
import { InMemoryRevocationStore } from '../../src/verify/revocation-store.ts'
import { openRedisServer, type RedisServer } from '../platform/bus/redis-server.ts'

const key = '0123456789abcdef'.repeat(4)
let server: RedisServer
let client: ReturnType<typeof createClient>

beforeAll(async () => {
  server = await openRedisServer()
  client = createClient({ url: `redis://${server.host}:${server.port}${server.path}` })
  client.on('error', () => undefined)
  await client.connect()
})
afterAll(async () => {
  client?.destroy()
  await server?.[Symbol.asyncDispose]()
})

const send = (...args: string[]) => client.sendCommand(args)
const add = (stream: string, fields: Record<string, string>) =>
  send('XADD', stream, '*', ...Object.entries(fields).flat())

function setup(kind: typeof createRevocationConsumer) {
  const id = randomUUID()
  const stream = `test:${id}`
  const store = new RedisRevocationStore({ client, prefix: `test:${id}:` })
  const consumer = kind({
    client,
    store,
    consumer: 'one',
    stream,
    blockMs: 10,
    pendingIdleMs: 0,
    streamHmacKey: key,
  })
  const publish = (fields: Record<string, string>) =>
    add(stream, { ...fields, _sig: signStreamEntry(key, stream, fields) })
  return { stream, store, consumer, publish }
}

describe('revocation consumer', () => {
  it('marks every anchor of a genuine entry', async () => {
    const { store, consumer, publish } = setup(createRevocationConsumer)
    await publish({ zone_id: 'z', sid: 'a', agent_session_id: 'b', delegation_edge_id: '' })
    await consumer.ensureGroup()
    await consumer.ensureGroup()
    expect(await consumer.pollOnce()).toBe(1)
    expect(await Promise.all(['a', 'b', 'c'].map((id) => store.isRevoked(id)))).toEqual([true, true, false])
    expect(await consumer.pollOnce()).toBe(0)
  })

  it('38: a tampered entry is buried and acknowledged', async () => {
    const { stream, store, consumer, publish } = setup(createRevocationConsumer)
    const fields = { sid: 'a' }
    const id = await add(stream, { sid: 'evil', _sig: signStreamEntry(key, stream, fields) })
    await publish({ zone_id: 'z' })
    await consumer.ensureGroup()
    await consumer.pollOnce()
    expect(await store.isRevoked('evil')).toBe(false)
    const dead = (await send('XRANGE', `${stream}.dead`, '-', '+')) as unknown as [string, string[]][]
    expect(dead.map(([, list]) => list)).toEqual([
      ['source_id', id, 'reason', 'invalid_signature', 'payload', expect.stringContaining('"evil"')],
      ['source_id', expect.any(String), 'reason', 'missing_revocation_anchor', 'payload', expect.any(String)],
    ])
    const pending = (await send('XPENDING', stream, 'resource-revocation')) as unknown as unknown[]
    expect(pending[0]).toBe(0)
  })
})

describe.each([
  ['pairs', (stream: string, entries: unknown) => [[stream, entries]]],
  ['a flat list, as ioredis has it over RESP3', (stream: string, entries: unknown) => [stream, entries]],
  ['a Map', (stream: string, entries: unknown) => new Map([[stream, entries]])],
  ['an object', (stream: string, entries: unknown) => ({ [stream]: entries })],
])('a client that answers a read with %s', (_shape, reply) => {
  it('has every entry take effect', async () => {
    const entries = ['1-0', '1-1', '1-2'].map((id) => [id, ['sid', `revoked-${id}`]])
    const acknowledged: string[] = []
    const ioredis = {
      async call(command: string, ...args: string[]) {
        if (command === 'XAUTOCLAIM') return ['0-0', [], []]
        if (command === 'XREADGROUP') return reply('events', entries)
        if (command === 'XACK') acknowledged.push(args.at(-1) ?? '')
        return 1
      },
    }
    const store = new InMemoryRevocationStore()
    const consumer = createRevocationConsumer({ client: ioredis, store, consumer: 'one', stream: 'events' })
    expect(await consumer.pollOnce()).toBe(3)
    expect(entries.map(([id]) => store.isRevoked(`revoked-${id}`))).toEqual([true, true, true])
    expect(acknowledged).toEqual(['1-0', '1-1', '1-2'])
  })
})

describe('delegation epochs', () => {
  it('only ever rise', async () => {
    const { store, consumer, publish } = setup(createDelegationEpochConsumer)
    await consumer.ensureGroup()
    for (const epoch of ['4', '10', '9']) await publish({ zone_id: 'z', epoch })
    await publish({ zone_id: 'z', epoch: 'many' })
    await consumer.pollOnce()
    expect(await store.currentDelegationEpoch('z')).toBe(10)
    expect(await store.currentDelegationEpoch('other')).toBe(0)
  })
})

it('37: a Redis that does not answer counts as a revocation, unless asked otherwise', async () => {
  const away = { sendCommand: () => Promise.reject(new Error('away')) }
  const closed = new RedisRevocationStore({ client: away })
  expect(await closed.isRevoked('a')).toBe(true)
  expect(await closed.currentDelegationEpoch('z')).toBe(Number.MAX_SAFE_INTEGER)
  const open = new RedisRevocationStore({ client: away, failClosed: false })
  expect(await open.isRevoked('a')).toBe(false)
})
