/** sdk-cli-console §2 (the end-to-end contract) and §16 check 5, with our admin client. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  AdminApiError,
  AdminClient,
  authorGrantsDocument,
  ControlClient,
  ControlClientError,
  ensureActivePolicySet,
  ensureApiKeyProvider,
  ensureApplication,
  ensureGovernedUpstreams,
  ensureGrants,
  ensureResource,
  waitUntilLoaded,
} from '../../../src/admin/index.ts'
import { Authority, Caracal } from '../../../src/sdk/index.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { openStage, type Stage } from './stage.ts'

let stage: Stage
let admin: AdminClient

beforeAll(async () => {
  stage = await openStage()
  admin = new AdminClient({
    apiUrl: `${stage.urls.control}/`,
    adminToken: stage.adminToken,
    coordinatorUrl: stage.urls.coordinator,
    coordinatorToken: stage.coordinatorToken,
  })
})
afterAll(async () => stage?.[Symbol.asyncDispose]())

it('5: create, protect, call, find the evidence, remove', async () => {
  const resource = 'resource://echo'
  const scope = 'echo:read'
  const zone = (await admin.zones.create({ name: 'Contract' })).id
  const application = await admin.applications.create(zone, { name: 'agent', registration_method: 'managed' })
  expect(application.client_secret).toMatch(/^cs_[A-Za-z0-9_-]{43}$/)
  const provider = await admin.providers.create(zone, { name: 'None', kind: 'none', config_json: {} })
  const created = await admin.resources.create(zone, {
    name: 'Echo',
    identifier: resource,
    upstream_url: stage.upstream.url,
    scopes: [scope],
    credential_provider_id: provider.id,
    operation_enforcement: 'enforced',
    operations: [{ method: 'GET', path: '/', scope }],
  })
  const policy = await admin.policies.create(zone, {
    name: 'grants',
    content: authorGrantsDocument([{ resource, applicationId: application.id, scopes: [scope] }]),
  })
  expect(policy.version).toMatchObject({ id: policy.version_id, version: 1 })
  const set = await admin.policySets.create(zone, { name: 'default' })
  const version = await admin.policySets.addVersion(zone, set.id, [policy.version_id])
  const activated = await admin.policySets.activate(zone, set.id, version.version_id)
  expect(activated).toMatchObject({ activated: true, version_id: version.version_id })
  await waitUntilLoaded(admin, zone, set.id, version.version_id)

  const caracal = Caracal.fromClientSecret({
    stsUrl: stage.urls.sts,
    coordinatorUrl: stage.urls.coordinator,
    gatewayUrl: stage.urls.gateway,
    zoneId: zone,
    applicationId: application.id,
    clientSecret: application.client_secret,
    resources: [resource],
  })
  const labels = [application.id]
  const response = await caracal.session(
    () =>
      caracal.session(
        () => caracal.fetch(resource, '/', { scopes: [scope], headers: { 'x-request-id': 'contract-1' } }),
        { labels, authority: Authority.narrow([scope], { resourceId: resource, ttlSeconds: 300 }) },
      ),
    { labels },
  )
  expect(response.status).toBe(200)
  const requestId = response.headers.get('x-request-id') ?? ''
  expect(requestId).toBe('contract-1')
  await response.text()
  await caracal.close()
  const types = await eventually(async () => {
    const found = (await admin.audit.byRequest(zone, requestId))
      .filter(({ decision }) => decision === 'allow')
      .map(({ event_type: type }) => type)
    return found.includes('token_exchange') && found.includes('gateway_resource_request') ? found : null
  })
  expect(types.length).toBeGreaterThanOrEqual(2)
  expect(await admin.delegations.active(zone)).toEqual([])
  const records: string[] = (await admin.authorityRecords.list(zone)).map((one) => one.authority_record_id)
  expect(records.every((id) => typeof id === 'string' && id !== '')).toBe(true)
  expect(records.length).toBeGreaterThan(0)

  await admin.resources.delete(zone, created.id)
  await admin.providers.delete(zone, provider.id)
  await admin.applications.delete(zone, application.id)
  await admin.zones.delete(zone)
  await expect(admin.zones.get(zone)).rejects.toMatchObject({ status: 404 })
})

describe('reconcilers change only what differs', () => {
  it('from nothing to a call, twice', async () => {
    const zone = (await admin.zones.create({ name: 'Reconciled' })).id
    const clientSecret = 'a-secret-that-a-person-chose-once'
    const one = await ensureApplication(admin, zone, { name: 'agent', clientSecret })
    const two = await ensureApplication(admin, zone, { name: 'agent', clientSecret })
    expect(two).toEqual({ id: one.id, changed: false })

    const upstream = {
      provider: {
        name: 'Key',
        identifier: 'provider://key',
        config: { auth_location: 'header', header_name: 'X-Api-Key' },
        secret: 'the-real-key',
      },
      resource: {
        identifier: 'resource://things',
        name: 'Things',
        upstream_url: stage.upstream.url,
        scopes: ['things:read'],
        operation_enforcement: 'transport_uniform',
      },
      grant: { applicationId: one.id, scopes: ['things:read'] },
    }
    const first = await ensureGovernedUpstreams(admin, zone, [upstream])
    expect(first.changed).toBe(true)
    const second = await ensureGovernedUpstreams(admin, zone, [upstream])
    expect(second).toEqual({ ...first, changed: false })
    // Without a secret the sealed one stays.
    const { secret: _, ...without } = upstream.provider
    await ensureApiKeyProvider(admin, zone, without)
    const provider = (await admin.providers.list(zone))[0]
    const same = { ...upstream.resource, credential_provider_id: provider?.id }
    expect((await ensureResource(admin, zone, same)).changed).toBe(false)
    expect((await ensureResource(admin, zone, { ...same, name: 'Other' })).changed).toBe(true)
    const grants = [{ resource: 'resource://things', applicationId: one.id, scopes: ['things:read'] }]
    expect((await ensureGrants(admin, zone, grants)).changed).toBe(false)
    const content = authorGrantsDocument(grants)
    const wanted = { policyName: 'application-grants', policySetName: 'application-grant-policy', content }
    const { policySetId, policySetVersionId } = await ensureActivePolicySet(admin, zone, wanted)
    expect(await admin.policySets.get(zone, policySetId)).toMatchObject({
      active_version_id: policySetVersionId,
    })
    await waitUntilLoaded(admin, zone, policySetId, policySetVersionId)

    await using caracal = Caracal.fromClientSecret({
      stsUrl: stage.urls.sts,
      coordinatorUrl: stage.urls.coordinator,
      gatewayUrl: stage.urls.gateway,
      zoneId: zone,
      applicationId: one.id,
      clientSecret,
    })
    const call = caracal.applicationTransport('resource://things', { scopes: ['things:read'] })
    const echoed = (await (await call(caracal.gatewayRequest('resource://things').url)).json()) as {
      headers: Record<string, string>
    }
    expect(echoed.headers['x-api-key']).toBe('the-real-key')
  })
})

it('a reconciler finishes what an interrupted run began', async () => {
  const zone = (await admin.zones.create({ name: 'Interrupted' })).id
  const grantsOf = (...scopes: string[]) => [{ resource: 'resource://things', applicationId: 'app', scopes }]
  const before = await ensureGrants(admin, zone, grantsOf('things:read', 'things:write'))
  // The policy was written, and the program ended before the set could follow.
  await admin.policies.addVersion(zone, before.policyId, authorGrantsDocument(grantsOf('things:read')))

  const after = await ensureGrants(admin, zone, grantsOf('things:read'))
  expect(after).toMatchObject({ changed: true, policySetId: before.policySetId })
  expect(await admin.policySets.get(zone, after.policySetId)).toMatchObject({
    active_version_id: after.policySetVersionId,
  })
  expect(await ensureGrants(admin, zone, grantsOf('things:read'))).toEqual({ ...after, changed: false })
})

describe('errors', () => {
  it('carry status, code and target, never a secret', async () => {
    const wrong = new AdminClient({ apiUrl: stage.urls.control, adminToken: 'wrong', retries: 0 })
    const refused = wrong.zones.list()
    await expect(refused).rejects.toBeInstanceOf(AdminApiError)
    await expect(refused).rejects.toMatchObject({ status: 401, target: 'GET /v1/zones' })
    expect(() =>
      new AdminClient({ apiUrl: stage.urls.control, adminToken: 'x' }).sessions.get('z', 's'),
    ).toThrow('coordinatorUrl')
  })

  it('name the call that got no answer, and why', async () => {
    const nowhere = 'http://127.0.0.1:1'
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })
    const away = () => Promise.reject(new TypeError('fetch failed', { cause: refused }))
    const client = new AdminClient({ apiUrl: nowhere, adminToken: 'x', retries: 0, fetchImpl: away })
    await expect(client.zones.list()).rejects.toThrow('GET /v1/zones got no answer: ECONNREFUSED')
    const slow = new AdminClient({
      apiUrl: nowhere,
      adminToken: 'x',
      retries: 0,
      timeoutMs: 10,
      fetchImpl: () => new Promise(() => undefined),
    })
    await expect(slow.zones.list()).rejects.toThrow('GET /v1/zones got no answer: timeout')
    const control = new ControlClient({
      controlUrl: nowhere,
      stsUrl: nowhere,
      applicationId: 'a',
      clientSecret: 's',
      fetchImpl: away,
    })
    await expect(control.invoke({ command: 'app', subcommand: 'list' })).rejects.toMatchObject({
      stage: 'token',
      status: 0,
      reason: 'ECONNREFUSED',
    })
  })

  it('no id takes a call to another path', () => {
    const asked: string[] = []
    const client = new AdminClient({
      apiUrl: stage.urls.control,
      adminToken: stage.adminToken,
      fetchImpl: async (input) => {
        asked.push(String(input))
        return Response.json({ items: [] })
      },
    })
    for (const id of ['', '.', '..', undefined as never]) {
      expect(() => client.applications.list(id)).toThrow(TypeError)
      expect(() => client.applications.delete('zone', id)).toThrow('an id must not be')
    }
    expect(asked).toEqual([])
  })

  it('of the control client say at which stage', async () => {
    const client = new ControlClient({
      controlUrl: stage.urls.control,
      stsUrl: stage.urls.sts,
      applicationId: 'nobody',
      clientSecret: 'nothing',
    })
    const refused = client.invoke({ command: 'app', subcommand: 'list' })
    await expect(refused).rejects.toBeInstanceOf(ControlClientError)
    await expect(refused).rejects.toMatchObject({ stage: 'token', definitive: true })
  })

  it('retries reads, not writes', async () => {
    let calls = 0
    const flaky = new AdminClient({
      apiUrl: stage.urls.control,
      adminToken: stage.adminToken,
      fetchImpl: (input, init) => {
        calls += 1
        return calls === 1 ? Promise.reject(new TypeError('reset')) : fetch(input, init)
      },
    })
    expect(Array.isArray(await flaky.zones.list())).toBe(true)
    expect(calls).toBe(2)
    calls = 0
    await expect(flaky.zones.create({ name: 'Never' })).rejects.toThrow('reset')
    expect(calls).toBe(1)
  })
})
