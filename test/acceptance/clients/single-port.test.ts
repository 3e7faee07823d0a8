/** sdk-cli-console §1.1 and §16 check 20: every role behind one port, the gateway below /gateway. */
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Authority, Caracal } from '../../../src/sdk/index.ts'
import { freePorts } from '../../../src/server/free-ports.ts'
import { createMandateVerifier, InMemoryRevocationStore } from '../../../src/verify/index.ts'
import { runCaracal } from '../../cli/process.ts'
import { seam, seams } from '../../fixtures/seam.ts'
import { createWorld, openStage, type Stage, type World } from './stage.ts'

let stage: Stage
let world: World
let base: string
let port: number
let caracal: Caracal

beforeAll(async () => {
  ;[port = 0] = await freePorts(1)
  base = `http://localhost:${port}`
  stage = await openStage({ CARACAL_SINGLE_PORT: String(port) })
  world = await createWorld(stage, {
    provider: { name: 'Mandate', kind: 'caracal_mandate', config_json: {} },
  })
  caracal = Caracal.fromClientSecret({
    ...world,
    stsUrl: base,
    coordinatorUrl: base,
    gatewayUrl: `${base}/gateway`,
    resources: [world.resource],
    logger: () => undefined,
  })
})
afterAll(async () => {
  await caracal?.close()
  await stage?.[Symbol.asyncDispose]()
})

const governed = async (url: string, init?: RequestInit) => {
  const response = await caracal.applicationTransport(world.resource, { scopes: ['x:read'] })(url, init)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
const get = async (path: string, headers: Record<string, string> = {}) => {
  const response = await fetch(`${base}${path}`, { headers, redirect: 'manual' })
  return { status: response.status, text: await response.text(), location: response.headers.get('location') }
}

/** Without the cleaning that a URL does to a path. */
function rawStatus(path: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ host: 'localhost', port, path, headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    asked.on('error', reject).end()
  })
}

seams('is a topology of its own')('20: the gateway', () => {
  it('has every path below its prefix, that of the management API too', async () => {
    expect(stage.urls.gateway).toBe(`${base}/gateway`)
    const { url } = caracal.gatewayRequest(world.resource, '/v1/zones?limit=1')
    expect(url).toBe(`${base}/gateway/v1/zones?limit=1`)
    expect(await governed(url)).toMatchObject({
      status: 200,
      body: { method: 'GET', url: '/v1/zones?limit=1' },
    })
    expect(await governed(`${base}/gateway`)).toMatchObject({ status: 200, body: { url: '/' } })
  })

  it('gets what names a resource, wherever it goes', async () => {
    const named = { 'x-caracal-resource': world.resource }
    await withMandate(async (mandate) => {
      const { status, text } = await get('/v1/zones', { ...named, authorization: `Bearer ${mandate}` })
      expect([status, JSON.parse(text)]).toMatchObject([200, { url: '/v1/zones' }])
    })
    // The management API never sees a request that names a resource, whoever sends it.
    const admin = { authorization: `Bearer ${stage.adminToken}` }
    expect((await get('/v1/zones', admin)).status).toBe(200)
    expect((await get('/v1/zones', { ...admin, ...named })).status).toBe(401)
    // And below the prefix nothing is the management API's, with or without a resource.
    const seen = stage.upstream.seen.length
    expect((await get('/gateway/v1/zones', admin)).status).toBe(401)
    for (const climbing of ['/gateway/../v1/zones', '/gateway/%2e%2e/v1/zones'])
      expect(await rawStatus(climbing, admin)).toBe(401)
    expect(stage.upstream.seen).toHaveLength(seen)
    expect((await get('/gatewayx', admin)).status).toBe(404)
  })
})

/** Work with a mandate for one request of the gateway, while its session lives. */
function withMandate<T>(work: (mandate: string) => Promise<T>): Promise<T> {
  const labels = [world.applicationId]
  const authority = Authority.narrow(['x:read'], { resourceId: world.resource, ttlSeconds: 300 })
  const spend = async () => work((await caracal.mintMandate(world.resource, ['x:read'])).token)
  return caracal.session(() => caracal.session(spend, { labels, authority }), { labels })
}

seam('is a topology of its own')(
  'a mandate that reaches an upstream verifies with the keys that this port publishes',
  async () => {
    await governed(caracal.gatewayRequest(world.resource, '/').url)
    const verifier = createMandateVerifier({
      issuer: base,
      audience: world.resource,
      zoneId: world.zoneId,
      revocations: new InMemoryRevocationStore(),
    })
    const authorization = stage.upstream.seen.at(-1)?.headers.authorization
    expect(await verifier.authorization(authorization, { requiredScopes: ['x:read'] })).toMatchObject({
      ok: true,
    })
  },
)

seam('is a topology of its own')('the other roles answer for their paths', async () => {
  expect((await get('/v1/run/manifest')).status).toBe(405)
  expect((await get('/approvals/01890000-0000-7000-8000-000000000000')).status).toBe(404)
  expect(JSON.parse((await get(`/zones/${world.zoneId}/agents`)).text)).toHaveProperty('error')
  expect((await get('/stats', { authorization: `Bearer ${stage.coordinatorToken}` })).status).toBe(200)
  expect((await get('/docs')).status).toBe(200)
  expect([200, 503]).toContain((await get('/policies')).status)
  expect((await get('/policies.css')).status).toBe(404)
  expect((await get('/openapi.json')).status).toBe(200)
})

seam('is a topology of its own')('health, readiness and metrics are those of all roles', async () => {
  const health = await get('/health')
  expect([health.status, Object.keys((JSON.parse(health.text) as { roles: object }).roles).sort()]).toEqual([
    200,
    ['audit', 'control', 'coordinator', 'gateway', 'sts'],
  ])
  const ready = await get('/ready')
  expect(ready.status).toBe(200)
  expect(JSON.parse(ready.text)).toMatchObject({
    ok: true,
    roles: { sts: { ready: true }, gateway: { ready: true } },
  })
  expect((await get('/gateway/ready')).text).toBe('{"ok":true,"ready":true}')

  const { text } = await get('/metrics')
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const series = samples.map((line) => line.slice(0, line.lastIndexOf(' ')))
  expect(new Set(series).size).toBe(series.length)
  for (const role of ['sts', 'gateway', 'control', 'coordinator', 'audit'])
    expect(text).toContain(`role="${role}"`)
  const types = text.split('\n').filter((line) => line.startsWith('# TYPE'))
  expect(new Set(types).size).toBe(types.length)
})

seam('is a topology of its own')('the commands find it by the same variable', async () => {
  const env = { CARACAL_SINGLE_PORT: String(port), CARACAL_ADMIN_TOKEN: stage.adminToken }
  expect((await runCaracal(['status', '--ready'], { env })).code).toBe(0)
  expect((await runCaracal(['healthcheck'], { env })).code).toBe(0)
  expect((await runCaracal(['api', 'zones'], { env })).code).toBe(0)
  const both = await runCaracal(['serve', '--single-port', '1', '--port-sts', '2'])
  expect(both).toMatchObject({ code: 1, stderr: expect.stringContaining('without --port-sts') })
})
