/** sdk-cli-console §16: checks that need the real STS, gateway and coordinator behind the clients. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AdminClient } from '../../../src/admin/index.ts'
import { Caracal, type CaracalEvent } from '../../../src/sdk/index.ts'
import { createJwksCache, createMandateVerifier, InMemoryRevocationStore } from '../../../src/verify/index.ts'
import { runCaracal } from '../../cli/process.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { createWorld, openStage, type Stage, type World } from './stage.ts'

let stage: Stage
let world: World
let admin: AdminClient

beforeAll(async () => {
  stage = await openStage()
  world = await createWorld(stage, {
    provider: { name: 'Mandate', kind: 'caracal_mandate', config_json: {} },
  })
  admin = new AdminClient({
    apiUrl: stage.urls.control,
    adminToken: stage.adminToken,
    coordinatorUrl: stage.urls.coordinator,
    coordinatorToken: stage.coordinatorToken,
  })
})
afterAll(async () => stage?.[Symbol.asyncDispose]())

function client(fetchImpl?: typeof fetch) {
  const caracal = Caracal.fromClientSecret({
    ...world,
    stsUrl: stage.urls.sts,
    coordinatorUrl: stage.urls.coordinator,
    gatewayUrl: stage.urls.gateway,
    resources: [world.resource],
    fetchImpl,
    logger: () => undefined,
  })
  const events: CaracalEvent[] = []
  caracal.onEvent((event) => events.push(event))
  return { caracal, events }
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const call = (caracal: Caracal) =>
  caracal.applicationTransport(world.resource, { scopes: ['x:read'] })(
    caracal.gatewayRequest(world.resource).url,
  )

it('the diagnostics of the console ask the roles that count', async () => {
  const { control } = stage.urls
  const signedIn = await fetch(`${control}/api/console/auth/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: control },
    body: JSON.stringify({ token: stage.adminToken }),
  })
  const cookie = signedIn.headers.getSetCookie()[0]?.split(';')[0] ?? ''
  const answer = await fetch(`${control}/api/console/diagnostics`, { headers: { cookie } })
  const { checks } = (await answer.json()) as { checks: { check: string; detail: string }[] }
  const details = new Map(checks.map(({ check, detail }) => [check, detail]))
  expect(details.get('policy compilation')).toMatch(/^\d+ policy bundles/)
  expect(details.get('policy evaluation')).toMatch(/^\d+ decisions/)
  for (const check of ['audit chain', 'audit signatures', 'audit dead letters', 'audit lag'])
    expect(details.get(check)).toMatch(inOneProcess ? /^\d+ / : /^\d+ |its address is not known here/)
})

it('what is forwarded keeps the path of the upstream, slashes and all', async () => {
  const { caracal } = client()
  const call = caracal.applicationTransport(world.resource, { scopes: ['x:read'] })
  expect((await call(`${stage.urls.gateway}//twice`)).status).toBe(200)
  expect(stage.upstream.seen.at(-1)?.url).toBe('//twice')
  await caracal.close()
})

it('17: a revoked authority record costs one refreshed token', async () => {
  const { caracal, events } = client()
  await caracal.session(() => null)
  await admin.subjects.revoke(world.zoneId, world.applicationId)
  expect(await caracal.session((context) => context.sessionId)).toMatch(uuid)
  const statuses = events.flatMap((event) => (event.type === 'coordinator.call' ? [event.status] : []))
  expect(statuses).toEqual([201, 204, 401, 201, 204])
  expect(
    events
      .filter(({ type }) => type === 'token.exchange')
      .filter((event) => 'cached' in event && !event.cached),
  ).toHaveLength(2)
  await caracal.close()
})

it('28, 29: a mandate is spent once, and the gateway wants to know the resource', async () => {
  const seen: string[] = []
  const { caracal } = client((input, init) => {
    const headers = new Headers(init?.headers)
    if (String(input).startsWith(stage.urls.gateway)) seen.push(headers.get('authorization') ?? '')
    return fetch(input, init)
  })
  expect((await call(caracal)).status).toBe(200)
  const authorization = seen[0] ?? ''
  const again = await fetch(`${stage.urls.gateway}/`, {
    headers: { authorization, 'x-caracal-resource': world.resource },
  })
  expect(again.status).toBe(401)
  expect(await again.text()).toContain('replay')
  expect((await fetch(`${stage.urls.gateway}/`, { headers: { authorization } })).status).toBe(400)
  await caracal.close()
})

it('32, 34: the mandate that an upstream receives verifies with the published keys, asked for once', async () => {
  const { caracal } = client()
  expect((await call(caracal)).status).toBe(200)
  const authorization = stage.upstream.seen.at(-1)?.headers.authorization
  let asked = 0
  const store = new InMemoryRevocationStore()
  const verifier = createMandateVerifier({
    issuer: stage.urls.sts,
    audience: world.resource,
    zoneId: world.zoneId,
    revocations: store,
    jwksCache: createJwksCache({
      fetchImpl: (input, init) => {
        asked += 1
        return fetch(input, init)
      },
    }),
  })
  const required = {
    requiredScopes: ['x:read'],
    requireDelegation: true,
    requireChainContains: [world.applicationId],
  }
  const results = await Promise.all(
    Array.from({ length: 20 }, () => verifier.authorization(authorization, required)),
  )
  expect(
    results.every(({ ok }) => ok),
    JSON.stringify(results[0]),
  ).toBe(true)
  expect(asked).toBe(1)
  const [result] = results
  if (result?.ok !== true) throw new Error('unreachable')
  expect(result.principal).toMatchObject({
    use: 'resource',
    clientId: world.applicationId,
    zoneId: world.zoneId,
  })
  store.markRevoked(result.principal.delegationId ?? '')
  expect(await verifier.authorization(authorization)).toMatchObject({ error: { code: 'session_revoked' } })
  expect(await verifier.authorization(authorization, { requiredScopes: ['x:write'] })).toMatchObject({
    error: { code: 'insufficient_scope' },
  })
  await caracal.close()
})

it('68: after an operator ended the session, nothing is minted under it', async () => {
  const { caracal } = client()
  expect((await call(caracal)).status).toBe(200)
  const active = (await admin.sessions.list(world.zoneId)).filter(({ status }) => status === 'active')
  expect(active.length).toBeGreaterThanOrEqual(2)
  for (const { session_id: id } of active) await admin.sessions.terminate(world.zoneId, id)
  await expect(call(caracal)).rejects.toMatchObject({ code: 'access_denied' })
  await caracal.close()
})

describe('caracal run against the STS', () => {
  let workload: { id: string; secret: string }
  beforeAll(async () => {
    const provider = await admin.providers.create(world.zoneId, {
      name: 'Injected',
      kind: 'api_key',
      config_json: { header_name: 'X-Api-Key', api_key: 'the-injected-key', allow_runtime_injection: true },
    })
    await admin.resources.create(world.zoneId, {
      name: 'Model',
      identifier: 'resource://model',
      upstream_url: stage.upstream.url,
      scopes: ['model:use'],
      credential_provider_id: provider.id,
      operation_enforcement: 'transport_uniform',
    })
    const created = await admin.workloads.create(world.zoneId, { name: 'builder' })
    workload = { id: created.id, secret: String(created.secret) }
    await admin.workloads.put(world.zoneId, workload.id, {
      name: 'builder',
      bindings: [{ env: 'MODEL_KEY', resource: 'resource://model', scopes: ['model:use'] }],
    })
  })
  const run = (secret: string) =>
    runCaracal(['run', '--', 'printenv', 'MODEL_KEY'], {
      env: {
        CARACAL_WORKLOAD_ID: workload.id,
        CARACAL_WORKLOAD_SECRET: secret,
        CARACAL_STS_URL: stage.urls.sts,
      },
    })

  it('49: the child gets the credential', async () => {
    expect(await run(workload.secret)).toEqual({ code: 0, stdout: 'the-injected-key\n', stderr: '' })
  })

  it('51: a wrong secret is refused, and written down', async () => {
    const { code, stdout } = await run('ws_wrong')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    const event = await eventually(async () => {
      const { items } = await admin.audit.page(world.zoneId, { event_type: 'run_launch', decision: 'deny' })
      return items[0] ?? null
    })
    expect(event).toMatchObject({ evaluation_status: 'workload_auth_failed' })
  })
})
