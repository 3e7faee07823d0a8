/** The STS on the Redis drivers: the same answers, and a clear one while Redis is away (check 58). */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../../fixtures/eventually.ts'
import { seams } from '../../fixtures/seam.ts'
import { seedApplication } from '../../fixtures/zone.ts'
import { type CuttableProxy, createCuttableProxy } from '../../platform/bus/cuttable-proxy.ts'
import { openRedisServer, type RedisServer } from '../../platform/bus/redis-server.ts'
import {
  auditEvent,
  createWorld,
  delegatedFields,
  gatewayExchange,
  mintGatewayMandate,
  type TokenAnswer,
  token,
  type World,
} from '../../roles/sts/world.ts'

let redis: RedisServer
let proxy: CuttableProxy
let world: World
beforeAll(async () => {
  redis = await openRedisServer()
  proxy = await createCuttableProxy({ host: redis.host, port: redis.port })
  world = await createWorld({}, undefined, { redisUrl: `redis://127.0.0.1:${proxy.port}${redis.path}` })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
})

const outcome = (answer: TokenAnswer) => [answer.status, answer.body?.error]
const ready = async () => {
  const response = await world.sts.app.request('/ready')
  return { status: response.status, body: await response.json() }
}

seams('Redis is cut off from one process')('on Redis', () => {
  test('20, 27, 28: mint, exchange, one use of a nonce', async () => {
    const { mandate } = await mintGatewayMandate(world)
    const nonce = 'cd'.repeat(32)
    const requestId = crypto.randomUUID()
    expect((await gatewayExchange(world, mandate, { nonce, requestId })).status).toBe(200)
    expect(await auditEvent(world, requestId, 'complete')).toMatchObject({ decision: 'allow' })
    expect(outcome(await gatewayExchange(world, mandate, { nonce }))).toEqual([401, 'access_denied'])
  })

  test('13: the 61st failure blocks', async () => {
    const victim = await seedApplication(world.db, world.hasher, world.zone.zoneId)
    const wrong = { scope: 'agent:lifecycle', application_id: victim.id, client_secret: 'wrong' }
    for (let round = 0; round < 60; round++) expect((await token(world, wrong)).status).toBe(401)
    expect((await token(world, wrong)).status).toBe(429)
    expect((await token(world, { ...wrong, client_secret: victim.secret })).status).toBe(429)
  })

  test('58: away and back', async () => {
    const { mandate, delegation } = await mintGatewayMandate(world)
    expect((await ready()).status).toBe(200)
    await proxy.cut()
    for (const answer of [
      await token(world, { scope: 'agent:lifecycle' }),
      await token(world, delegatedFields(delegation)),
      await gatewayExchange(world, mandate),
    ]) {
      expect(outcome(answer)).toEqual([503, 'sts_unavailable'])
    }
    expect(await ready()).toEqual({
      status: 503,
      body: { ok: false, ready: false, reason: 'redis_unreachable' },
    })
    await proxy.restore()
    await eventually(async () => (await ready()).status === 200, { timeoutMs: 15_000 })
    expect((await token(world, { scope: 'agent:lifecycle' })).status).toBe(200)
    // A server that cannot prove it is the same one has a new memory: a mandate of its birth second is refused.
    await eventually(async () => {
      const young = await mintGatewayMandate(world)
      return (await gatewayExchange(world, young.mandate)).status === 200
    })
  })
})
