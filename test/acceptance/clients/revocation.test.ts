/** sdk-cli-console §16, checks 33 and 37 against a server on Redis: what is revoked there is refused here. */
import { createClient } from 'redis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { AdminClient } from '../../../src/admin/index.ts'
import { Caracal } from '../../../src/sdk/index.ts'
import { createMandateVerifier, type MandateVerifier } from '../../../src/verify/index.ts'
import {
  createDelegationEpochConsumer,
  createRevocationConsumer,
  RedisRevocationStore,
} from '../../../src/verify/redis.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { openRedisServer, type RedisServer } from '../../platform/bus/redis-server.ts'
import { createWorld, openStage, type Stage, type World } from './stage.ts'

const streamHmacKey = '0123456789abcdef'.repeat(4)
let redis: RedisServer
let stage: Stage
let world: World
let admin: AdminClient
let verifier: MandateVerifier
let caracal: Caracal
const stopped = new AbortController()
const running: Promise<void>[] = []
let epochsHeard = 0
const clients: { destroy(): void }[] = []

async function connect() {
  const client = createClient({ url: `redis://${redis.host}:${redis.port}${redis.path}` })
  client.on('error', () => undefined)
  await client.connect()
  clients.push(client)
  return client
}

beforeAll(async () => {
  redis = await openRedisServer()
  const url = `redis://${redis.host}:${redis.port}${redis.path}`
  stage = await openStage({ REDIS_URL: url, STREAMS_HMAC_KEY: streamHmacKey })
  world = await createWorld(stage, {
    provider: { name: 'Mandate', kind: 'caracal_mandate', config_json: {} },
  })
  admin = new AdminClient({
    apiUrl: stage.urls.control,
    adminToken: stage.adminToken,
    coordinatorUrl: stage.urls.coordinator,
    coordinatorToken: stage.coordinatorToken,
  })
  caracal = Caracal.fromClientSecret({
    ...world,
    stsUrl: stage.urls.sts,
    coordinatorUrl: stage.urls.coordinator,
    gatewayUrl: stage.urls.gateway,
    resources: [world.resource],
    logger: () => undefined,
  })
  const store = new RedisRevocationStore({ client: await connect() })
  const mark = store.markDelegationEpoch.bind(store)
  store.markDelegationEpoch = async (zoneId, epoch) => {
    await mark(zoneId, epoch)
    if (zoneId === world.zoneId) epochsHeard += 1
  }
  for (const create of [createRevocationConsumer, createDelegationEpochConsumer]) {
    // Each blocks its connection.
    const consumer = create({ client: await connect(), store, consumer: 'one', blockMs: 50, streamHmacKey })
    await consumer.ensureGroup()
    running.push(consumer.run(stopped.signal))
  }
  const { sts: issuer } = stage.urls
  const options = { issuer, audience: world.resource, zoneId: world.zoneId, revocations: store }
  verifier = createMandateVerifier(options)
})
afterAll(async () => {
  stopped.abort()
  await caracal?.close()
  await Promise.all(running)
  for (const client of clients) client.destroy()
  await stage?.[Symbol.asyncDispose]()
  await redis?.[Symbol.asyncDispose]()
})

/** A mandate as the upstream gets it. */
async function resourceMandate(resource = world.resource): Promise<string> {
  const call = caracal.applicationTransport(resource, { scopes: ['x:read'] })
  expect((await call(caracal.gatewayRequest(resource).url)).status).toBe(200)
  return stage.upstream.seen.at(-1)?.headers.authorization ?? ''
}

const code = async (authorization: string) => {
  const result = await verifier.authorization(authorization)
  return result.ok ? 'ok' : result.error.code
}
const refused = (authorization: string) =>
  eventually(async () => ((await code(authorization)) === 'ok' ? null : code(authorization)), {
    timeoutMs: 2_000,
  })

it('37: ending a session at the coordinator ends its mandates at resource servers within two seconds', async () => {
  const authorization = await resourceMandate()
  expect(await code(authorization)).toBe('ok')
  for (const { session_id: id, status } of await admin.sessions.list(world.zoneId))
    if (status === 'active') await admin.sessions.terminate(world.zoneId, id)
  expect(await refused(authorization)).toBe('session_revoked')
})

it('33: another delegation leaves a mandate alone, a revoked one makes older mandates stale', async () => {
  await caracal.close()
  caracal = Caracal.fromClientSecret({
    ...world,
    stsUrl: stage.urls.sts,
    coordinatorUrl: stage.urls.coordinator,
    gatewayUrl: stage.urls.gateway,
    resources: [world.resource],
    logger: () => undefined,
  })
  const authorization = await resourceMandate()
  await caracal.session((parent) =>
    caracal.session(async (child) => {
      const before = epochsHeard
      const { delegationId } = await caracal.bind(parent, () =>
        caracal.delegate({
          toSessionId: child.sessionId ?? '',
          scopes: ['x:read'],
          resourceId: world.resource,
          ttlSeconds: 60,
        }),
      )
      await eventually(() => (epochsHeard > before ? true : null))
      expect(await code(authorization)).toBe('ok')
      await caracal.revokeDelegation(delegationId)
      expect(await refused(authorization)).toBe('delegation_stale')
    }),
  )
})
