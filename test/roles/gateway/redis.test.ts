/** The gateway on the Redis drivers, two processes of it, and Redis going away (gateway §7, §18; storage-and-operations §17). */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRedisBus } from '../../../src/platform/bus/redis.ts'
import { createRedisEphemera } from '../../../src/platform/ephemera/redis.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { createRedisStore, type RedisStore, redisSettings } from '../../platform/bus/redis-store.ts'
import { openStage, type Stage, startUpstream, type Upstream } from './stage.ts'
import { createZoneSts } from './zone-sts.ts'

const log = pino({ level: 'silent' })
let store: RedisStore
let database: TestDatabase
let upstream: Upstream
let stages: Stage[]
const sts = createZoneSts()
const closing: AsyncDisposable[] = []

/** Two gateways with connections of their own, as two processes have them. */
beforeAll(async () => {
  store = await createRedisStore()
  database = await createTestDatabase()
  upstream = await startUpstream((request, response) => {
    if (request.url !== '/stream') return response.end('ok')
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: x\n\n')
  })
  stages = []
  for (let index = 0; index < 2; index += 1) {
    const bus = createRedisBus({ url: store.url, log, settings: redisSettings })
    const ephemera = createRedisEphemera({ url: store.url, db: database.db, log, settings: redisSettings })
    closing.push(bus, ephemera)
    await eventually(() => bus.ping().then(() => true), { timeoutMs: 20_000 })
    await eventually(() => ephemera.ping().then(() => true), { timeoutMs: 20_000 })
    stages.push(await openStage({ platform: { database, bus, ephemera }, sts }))
  }
  for (const stage of stages) stage.route(upstream.url)
}, 60_000)
afterAll(async () => {
  for (const stage of stages) await stage[Symbol.asyncDispose]()
  for (const one of closing) await one[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
})

const gateways = (): [Stage, Stage] => stages as [Stage, Stage]
const seen = async (stage: Stage, mandate?: string): Promise<unknown[]> => {
  const answer = await stage.call(mandate === undefined ? {} : { mandate })
  return [answer.status, answer.status === 200 ? 'ok' : answer.json().error_description]
}

describe('two gateways on one Redis', () => {
  it('share one use', async () => {
    const [first, second] = gateways()
    const mandate = sts.mint()
    expect(await seen(first, mandate)).toEqual([200, 'ok'])
    expect(await seen(second, mandate)).toEqual([401, 'token replay detected'])
    const raced = sts.mint()
    const both = await Promise.all([first.call({ mandate: raced }), second.call({ mandate: raced })])
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 401])
  })

  it('both cut what runs under a revoked anchor', async () => {
    const id = randomUUID()
    const streams = await Promise.all(
      gateways().map((stage) => stage.open({ path: '/stream', mandate: sts.mint({ root_sid: id }) })),
    )
    const ended = streams.map(
      (response: IncomingMessage) =>
        new Promise<NodeJS.Dict<string>>((resolve) => {
          response.resume()
          response.on('end', () => resolve(response.trailers))
        }),
    )
    const startedAt = performance.now()
    await gateways()[0].publish('caracal.sessions.revoke', { zone_id: 'zone-1', session_id: id, reason: 'x' })
    expect(await Promise.all(ended)).toEqual([
      { 'x-caracal-revoked': 'true' },
      { 'x-caracal-revoked': 'true' },
    ])
    expect(performance.now() - startedAt).toBeLessThan(5000)
    expect(await gateways()[0].metric('caracal_gateway_revocation_propagation_seconds')).toBeLessThan(5)
  })

  it('refuse what was minted before the memory was lost, on both', async () => {
    const [first, second] = gateways()
    const used = sts.mint()
    const unused = sts.mint()
    expect(await seen(first, used)).toEqual([200, 'ok'])
    await store.wipe()
    for (const stage of [first, second]) {
      expect(await seen(stage, used)).toEqual([401, 'mandate predates replay memory'])
      expect(await seen(stage, unused)).toEqual([401, 'mandate predates replay memory'])
    }
    await eventually(async () => (await seen(second))[0] === 200)
    // The group went with the memory: revocations reach the gateways again.
    const id = randomUUID()
    await eventually(async () => {
      await first.publish('caracal.sessions.revoke', { zone_id: 'zone-1', agent_session_id: id, reason: 'x' })
      return (await seen(second, sts.mint({ agent_session_id: id })))[1] === 'session revoked'
    })
  })
})

describe('Redis away', () => {
  it('denies with 503, says so in readiness, keeps its evidence and recovers by itself', async () => {
    const [first] = gateways()
    const dials = upstream.connections()
    const exchanges = sts.exchanges.length
    await store.cut()
    expect(await seen(first)).toEqual([503, 'replay protection unavailable'])
    expect(sts.exchanges).toHaveLength(exchanges)
    expect(upstream.connections()).toBe(dials)
    const ready = await fetch(`${first.url}/ready`)
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { ok: false, ready: false, reason: 'redis_unreachable' },
    ])
    await store.restore()
    await eventually(async () => (await seen(first))[0] === 200, { timeoutMs: 10_000 })
    await eventually(async () => (await fetch(`${first.url}/ready`)).status === 200)
  }, 30_000)
})
