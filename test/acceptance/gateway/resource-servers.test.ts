/**
 * gateway, acceptance checks 57 and 58: what a resource server learns from the shared
 * revocation store, kept by the server itself (REVOCATION_STORE_WRITER) and, under
 * another prefix, by the consumers of the client package.
 */
import { createClient } from 'redis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AdminClient } from '../../../src/admin/index.ts'
import { Caracal } from '../../../src/sdk/index.ts'
import { createMandateVerifier, type VerifierOptions } from '../../../src/verify/index.ts'
import { createRevocationConsumer, RedisRevocationStore } from '../../../src/verify/redis.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { type CuttableProxy, createCuttableProxy } from '../../platform/bus/cuttable-proxy.ts'
import { openRedisServer, type RedisServer } from '../../platform/bus/redis-server.ts'
import { createWorld, openStage, type Stage, type World } from '../clients/stage.ts'

const streamHmacKey = '0123456789abcdef'.repeat(4)
const prefix = 'caracal:revoked:sessions:'
let redis: RedisServer
let proxy: CuttableProxy
let stage: Stage
let world: World
let admin: AdminClient
let direct: Awaited<ReturnType<typeof connect>>
let through: Awaited<ReturnType<typeof connect>>
const stopped = new AbortController()
const running: Promise<void>[] = []
const clients: { destroy(): void }[] = []

async function connect(port: number) {
  const client = createClient({ url: `redis://127.0.0.1:${port}${redis.path}`, disableOfflineQueue: true })
  client.on('error', () => undefined)
  await client.connect()
  clients.push(client)
  return client
}

beforeAll(async () => {
  redis = await openRedisServer()
  proxy = await createCuttableProxy({ host: redis.host, port: redis.port })
  stage = await openStage({
    REDIS_URL: `redis://${redis.host}:${redis.port}${redis.path}`,
    STREAMS_HMAC_KEY: streamHmacKey,
    REVOCATION_STORE_WRITER: 'true',
  })
  world = await createWorld(stage, {
    provider: { name: 'Mandate', kind: 'caracal_mandate', config_json: {} },
  })
  admin = new AdminClient({
    apiUrl: stage.urls.control,
    adminToken: stage.adminToken,
    coordinatorUrl: stage.urls.coordinator,
    coordinatorToken: stage.coordinatorToken,
  })
  direct = await connect(redis.port)
  through = await connect(proxy.port)
  const consumer = createRevocationConsumer({
    client: await connect(redis.port),
    store: new RedisRevocationStore({ client: direct, prefix: 'library:' }),
    group: 'another-resource-server',
    consumer: 'one',
    blockMs: 50,
    streamHmacKey,
  })
  await consumer.ensureGroup()
  running.push(consumer.run(stopped.signal))
})
afterAll(async () => {
  stopped.abort()
  await Promise.all(running)
  for (const client of clients) client.destroy()
  await stage?.[Symbol.asyncDispose]()
  await proxy?.[Symbol.asyncDispose]()
  await redis?.[Symbol.asyncDispose]()
})

function openClient(): Caracal {
  return Caracal.fromClientSecret({
    ...world,
    stsUrl: stage.urls.sts,
    coordinatorUrl: stage.urls.coordinator,
    gatewayUrl: stage.urls.gateway,
    resources: [world.resource],
    logger: () => undefined,
  })
}

/** A mandate as the upstream gets it, from a session and a delegation of its own. */
async function resourceMandate(caracal: Caracal): Promise<string> {
  const call = caracal.applicationTransport(world.resource, { scopes: ['x:read'] })
  expect((await call(caracal.gatewayRequest(world.resource).url)).status).toBe(200)
  return stage.upstream.seen.at(-1)?.headers.authorization ?? ''
}

/** A resource server that only looks into the store; its connection can be cut. */
async function outcome(authorization: string, overrides: Partial<VerifierOptions> = {}): Promise<string> {
  const verifier = createMandateVerifier({
    issuer: stage.urls.sts,
    audience: world.resource,
    zoneId: world.zoneId,
    revocations: new RedisRevocationStore({ client: through }),
    ...overrides,
  })
  const result = await verifier.authorization(authorization)
  return result.ok ? 'ok' : result.error.code
}

test('57: another delegation leaves the epoch and older mandates alone', async () => {
  await using caracal = openClient()
  const authorization = await resourceMandate(caracal)
  const key = `${prefix}delegation-epoch:${world.zoneId}`
  const stored = await eventually(() => direct.get(key))
  await caracal.session((parent) =>
    caracal.session(async (child) => {
      await caracal.bind(parent, () =>
        caracal.delegate({
          toSessionId: child.sessionId ?? '',
          scopes: ['x:read'],
          resourceId: world.resource,
          ttlSeconds: 60,
        }),
      )
      expect(await outcome(authorization)).toBe('ok')
      expect(await direct.get(key)).toBe(stored)
    }),
  )
})

test('57: the end of an application’s own session marks it, for the server’s store and the library’s', async () => {
  await using caracal = openClient()
  await resourceMandate(caracal)
  const active = (await admin.sessions.list(world.zoneId)).filter(({ status }) => status === 'active')
  const ids = active.map(({ session_id: id }) => id)
  expect(ids.length).toBeGreaterThanOrEqual(2)
  for (const id of ids) await admin.sessions.terminate(world.zoneId, id)
  for (const id of ids)
    for (const store of [prefix, 'library:']) {
      expect(await eventually(() => direct.get(store + id), { timeoutMs: 5000 })).toBe('1')
      const ttl = await direct.pTTL(store + id)
      expect(ttl).toBeGreaterThan(86_000_000)
      expect(ttl).toBeLessThanOrEqual(86_400_000)
    }
})

test('58: valid, of another audience, zone, scope or use', async () => {
  await using caracal = openClient()
  const authorization = await resourceMandate(caracal)
  expect(await outcome(authorization)).toBe('ok')
  expect(await outcome(authorization, { audience: 'resource://other' })).toBe('invalid_token')
  expect(await outcome(authorization, { zoneId: '' })).toBe('invalid_zone')
  // Another zone's keys did not sign it, which is found out before the claim is read.
  const other = String((await stage.admin('POST', '/zones', { name: 'Other' })).id)
  expect(await outcome(authorization, { zoneId: other })).toBe('invalid_token')
  expect(await outcome(authorization, { requiredScopes: ['x:write'] })).toBe('insufficient_scope')
  expect(await outcome(authorization, { requiredUse: 'session' })).toBe('invalid_token')
})

test('58: revoked', async () => {
  await using caracal = openClient()
  const authorization = await resourceMandate(caracal)
  for (const { session_id: id, status } of await admin.sessions.list(world.zoneId))
    if (status === 'active') await admin.sessions.terminate(world.zoneId, id)
  await eventually(async () => (await outcome(authorization)) === 'session_revoked', { timeoutMs: 5000 })
})

test('58: the epoch rose, and never falls again', async () => {
  await using caracal = openClient()
  const authorization = await resourceMandate(caracal)
  await caracal.session((parent) =>
    caracal.session(async (child) => {
      const { delegationId } = await caracal.bind(parent, () =>
        caracal.delegate({
          toSessionId: child.sessionId ?? '',
          scopes: ['x:read'],
          resourceId: world.resource,
          ttlSeconds: 60,
        }),
      )
      expect(await outcome(authorization)).toBe('ok')
      await caracal.revokeDelegation(delegationId)
    }),
  )
  await eventually(async () => (await outcome(authorization)) === 'delegation_stale', { timeoutMs: 5000 })
})

test('58: a store that cannot be asked refuses', async () => {
  await using caracal = openClient()
  const authorization = await resourceMandate(caracal)
  expect(await outcome(authorization)).toBe('ok')
  await proxy.cut()
  expect(await outcome(authorization)).toBe('session_revoked')
  await proxy.restore()
  await eventually(async () => (await outcome(authorization)) === 'ok', { timeoutMs: 15_000 })
})
