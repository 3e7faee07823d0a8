import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { eventually } from '../../fixtures/eventually.ts'
import { createStage, type Send, type Stage } from '../../roles/control/stage.ts'

// Passwords cost tens of milliseconds of CPU each, and revocations take up to five seconds by design.
vi.setConfig({ testTimeout: 60_000 })

let stage: Stage
beforeAll(async () => {
  stage = await createStage({
    // A name that no other test file has: logins are counted by address, and one account must be the last.
    settings: { CARACAL_BOOTSTRAP_USERNAME: 'keeper', CARACAL_BOOTSTRAP_PASSWORD: 'correct horse battery' },
  })
})
afterAll(() => stage[Symbol.asyncDispose]())

const outcome = async (answer: ReturnType<Send>) => {
  const { status, body } = await answer
  return [status, body?.error]
}

const logIn = (username: string, password: string) =>
  stage.send('POST', '/v1/auth/login', { username, password }, { token: null })

let sequence = 0
/** An account with one role, logged in. */
async function person(
  role: string | null,
  zone: string | null,
): Promise<{ id: string; name: string; send: Send }> {
  sequence += 1
  const name = `person-${sequence}`
  const password = `password-${sequence}-long`
  const made = await stage.send('POST', '/v1/service-accounts', { username: name, password })
  if (made.status !== 201) throw new Error(made.text)
  if (role !== null) {
    const body = { role_name: role, subject: { kind: 'service_account', id: made.body.id }, zone_id: zone }
    const bound = await stage.send('POST', '/v1/role-bindings', body)
    if (bound.status !== 201) throw new Error(bound.text)
  }
  await stage.forgetCounters()
  const token = (await logIn(name, password)).body.access_token
  return {
    id: made.body.id,
    name,
    send: (method, path, body, options) => stage.send(method, path, body, { token, ...options }),
  }
}

/** A login opens neither the STS nor the coordinator, and what the STS signs does not open control. */
async function noTokenOpensAnotherDoor(login: string): Promise<void> {
  const zone = await stage.zone()
  const made = await stage.send('POST', `/v1/zones/${zone}/applications`, {
    name: 'agent',
    registration_method: 'managed',
  })
  const provider = await stage.send('POST', `/v1/zones/${zone}/providers`, { name: 'n', kind: 'none' })
  await stage.send('POST', `/v1/zones/${zone}/resources`, {
    identifier: 'resource://r',
    scopes: ['a'],
    upstream_url: 'http://up.test',
    credential_provider_id: provider.body.id,
  })
  const { id, client_secret } = made.body
  const grants = { 'resource://r': { application: id, roles: { [id]: ['a'] } } }
  const policy = await stage.send('POST', `/v1/zones/${zone}/policies`, {
    name: 'p',
    content: `# caracal:data-document\npackage caracal.authz\nimport rego.v1\napp_ids := {"${id}": "${id}"}\ngrants := ${JSON.stringify(grants)}\n`,
  })
  const set = await stage.send('POST', `/v1/zones/${zone}/policy-sets`, { name: 's' })
  const path = `/v1/zones/${zone}/policy-sets/${set.body.id}`
  const sealed = await stage.send('POST', `${path}/versions`, {
    manifest: [{ policy_version_id: policy.body.version_id }],
  })
  await stage.send('POST', `${path}/activate`, { version_id: sealed.body.version_id })
  const form = {
    zone_id: zone,
    application_id: id,
    client_secret,
    resource: 'resource://r',
    scope: 'agent:lifecycle',
  }
  const mandate = await stage.exchange(form)
  expect(mandate.status).toBe(200)
  const sessions = (token: string) =>
    stage.coordinator.app.request(`/zones/${zone}/agents`, { headers: { authorization: `Bearer ${token}` } })
  expect((await sessions(mandate.body.access_token)).status).toBe(200)
  expect((await sessions(login)).status).toBe(401)
  const presented = {
    subject_token: login,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  }
  expect((await stage.exchange({ ...form, ...presented })).status).toBe(401)
  const asMandate = { token: mandate.body.access_token }
  for (const door of ['/v1/zones', `/v1/zones/${zone}`, '/v1/auth/me']) {
    expect((await stage.send('GET', door, undefined, asMandate)).status).toBe(401)
  }
}

describe('RBAC, keys, row-level security (control-api §16)', () => {
  test('52: the bootstrap account logs in; failures look alike and are counted', async () => {
    const good = await logIn('keeper', 'correct horse battery')
    expect(good.status).toBe(200)
    const { access_token: token } = good.body
    expect(token.split('.')).toHaveLength(3)
    const me = await stage.send('GET', '/v1/auth/me', undefined, { token })
    expect(me.body).toMatchObject({
      principal: { kind: 'service_account', name: 'keeper' },
      roles: [{ role: 'platform-admin', zone_id: null }],
    })
    expect((await stage.send('POST', '/v1/zones', { name: 'made by keeper' }, { token })).status).toBe(201)
    await stage.forgetCounters()
    const atOnce = await Promise.all(
      Array.from({ length: 8 }, () => logIn('keeper', 'correct horse battery')),
    )
    expect(atOnce.map(({ status }) => status)).toEqual(Array(8).fill(200))
    await stage.forgetCounters()
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      expect(await outcome(logIn('keeper', 'wrong password'))).toEqual([401, 'invalid_credentials'])
    }
    expect((await logIn('keeper', 'correct horse battery')).status).toBe(429)
    await stage.forgetCounters()
    expect(await outcome(logIn('nobody', 'wrong password'))).toEqual([401, 'invalid_credentials'])
    const off = await person(null, null)
    await stage.send('PATCH', `/v1/service-accounts/${off.id}`, { status: 'inactive' })
    await stage.forgetCounters()
    expect(await outcome(logIn(off.name, `password-${sequence}-long`))).toEqual([401, 'invalid_credentials'])
    const mandate = `${token.split('.')[0]}.${Buffer.from('{"aud":"x"}').toString('base64url')}.${token.split('.')[2]}`
    expect(await outcome(stage.send('GET', '/v1/zones', undefined, { token: mandate }))).toEqual([
      401,
      'invalid_token',
    ])
    await noTokenOpensAnotherDoor(token)
    expect((await stage.send('POST', '/v1/auth/logout', undefined, { token })).status).toBe(204)
    await eventually(
      async () => (await stage.send('GET', '/v1/auth/me', undefined, { token })).status === 401,
      {
        timeoutMs: 15_000,
        intervalMs: 200,
      },
    )
  })

  test('53: a role grants what it says, where it is bound, until it is not', async () => {
    const zone = await stage.zone()
    const other = await stage.zone()
    const role = await stage.send('POST', `/v1/zones/${zone}/roles`, {
      name: 'policy-reader',
      rules: [{ apiGroups: ['policy'], resources: ['policies'], verbs: ['list', 'get'] }],
    })
    expect(role.body.rules).toEqual([
      { api_groups: ['policy'], resources: ['policies'], verbs: ['list', 'get'] },
    ])
    const reader = await person(null, null)
    const bound = await stage.send('POST', `/v1/zones/${zone}/role-bindings`, {
      role_id: role.body.id,
      subject: { kind: 'service_account', id: reader.id },
    })
    expect(bound.status).toBe(201)
    const list = () => reader.send('GET', `/v1/zones/${zone}/policies`)
    await eventually(async () => (await list()).status === 200, { timeoutMs: 15_000 })
    const create = await reader.send('POST', `/v1/zones/${zone}/policies`, { name: 'x', content: 'y' })
    expect([create.status, create.body.error, create.body.details]).toEqual([
      403,
      'forbidden',
      { api_group: 'policy', resource: 'policies', verb: 'create', zone_id: zone },
    ])
    expect((await reader.send('GET', `/v1/zones/${other}/policies`)).status).toBe(403)
    expect((await stage.send('DELETE', `/v1/zones/${zone}/role-bindings/${bound.body.id}`)).status).toBe(204)
    await eventually(async () => (await list()).status === 403, { timeoutMs: 15_000, intervalMs: 200 })
    expect(await outcome(stage.send('DELETE', `/v1/zones/${zone}/roles/${role.body.id}`))).toEqual([
      204,
      undefined,
    ])
  })

  test('54: nobody gives away more than it holds', async () => {
    const zone = await stage.zone()
    const admin = await person('zone-iam-admin', zone)
    const target = await person(null, null)
    const broad = { name: 'broad', rules: [{ api_groups: ['core'], resources: ['*'], verbs: ['*'] }] }
    expect(await outcome(admin.send('POST', `/v1/zones/${zone}/roles`, broad))).toEqual([
      403,
      'privilege_escalation',
    ])
    const bind = (role_name: string, extra: object = {}) =>
      outcome(
        admin.send('POST', `/v1/zones/${zone}/role-bindings`, {
          role_name,
          principal_type: 'service_account',
          principal_name: target.name,
          ...extra,
        }),
      )
    expect(await bind('platform-admin')).toEqual([403, 'privilege_escalation'])
    expect(await bind('approver')).toEqual([403, 'privilege_escalation'])
    expect(await bind('zone-admin', { namespace: zone })).toEqual([201, undefined])
    expect(await bind('zone-admin')).toEqual([409, 'role_binding_exists'])
    const self = { role_name: 'zone-admin', subject: { kind: 'service_account', id: admin.id } }
    expect(await outcome(admin.send('POST', `/v1/zones/${zone}/role-bindings`, self))).toEqual([
      403,
      'privilege_escalation',
    ])
    const admins = await stage.send('GET', '/v1/role-bindings?limit=500')
    const last = admins.body.items.filter(
      (item: { role_name: string }) => item.role_name === 'platform-admin',
    )
    expect(last).toHaveLength(1)
    expect(await outcome(stage.send('DELETE', `/v1/role-bindings/${last[0].id}`))).toEqual([
      409,
      'last_platform_admin',
    ])
    expect(await outcome(stage.send('DELETE', `/v1/service-accounts/${last[0].subject.id}`))).toEqual([
      409,
      'last_platform_admin',
    ])
    expect(
      await outcome(
        stage.send('PATCH', `/v1/service-accounts/${last[0].subject.id}`, { status: 'inactive' }),
      ),
    ).toEqual([409, 'last_platform_admin'])
    const zoneToken = (
      await stage.send('POST', '/v1/admin-tokens', { name: 'z', scope: 'zone', zone_id: zone })
    ).body.token
    expect((await stage.send('GET', `/v1/zones/${zone}/roles`, undefined, { token: zoneToken })).status).toBe(
      200,
    )
    expect((await stage.send('GET', '/v1/roles', undefined, { token: zoneToken })).status).toBe(403)
    const builtIn = (await stage.send('GET', '/v1/roles?limit=500')).body.items.find(
      (role: { name: string }) => role.name === 'viewer',
    )
    expect(await outcome(stage.send('DELETE', `/v1/roles/${builtIn.id}`))).toEqual([409, 'role_built_in'])
  })

  test('54: a zone is named by any of its names, and by one at a time', async () => {
    const zone = await stage.zone('Named by slug')
    const other = await stage.zone()
    const { slug } = (await stage.send('GET', `/v1/zones/${zone}`)).body
    const names = { username: 'of-a-workspace', password: 'long enough to do', workspace: slug }
    const account = await stage.send('POST', '/v1/service-accounts', names)
    expect([account.status, account.body.zone_id]).toEqual([201, zone])
    const rules = [{ api_groups: ['core'], resources: ['zones'], verbs: ['get'] }]
    const role = await stage.send('POST', '/v1/roles', {
      name: 'of-it',
      rules,
      workspace: slug,
      zone_id: zone,
    })
    expect([role.status, role.body.zone_id]).toEqual([201, zone])
    const binding = await stage.send('POST', '/v1/role-bindings', {
      role_name: 'of-it',
      principal_name: 'of-a-workspace',
      workspace: slug,
    })
    expect([binding.status, binding.body.zone_id]).toEqual([201, zone])
    const key = await stage.send('POST', '/v1/api-keys', {
      name: 'k',
      service_account_id: account.body.id,
      namespace: zone,
    })
    expect(key.status).toBe(201)
    for (const [list, id] of [
      ['service-accounts', account.body.id],
      ['roles', role.body.id],
      ['role-bindings', binding.body.id],
      ['api-keys', key.body.id],
    ]) {
      for (const query of [
        `workspace=${slug}`,
        `namespace=${zone}`,
        `organization_id=${zone}&zone_id=${zone}`,
      ]) {
        const { items } = (await stage.send('GET', `/v1/${list}?${query}`)).body
        const own = items.filter((item: { built_in?: boolean }) => item.built_in !== true)
        expect(own.map((item: { id: string }) => item.id)).toEqual([id])
      }
      const twice = stage.send('GET', `/v1/${list}?namespace=${zone}&zone_id=${other}`)
      expect(await outcome(twice)).toEqual([400, 'invalid_query'])
    }
    const change = (zones: object) =>
      outcome(stage.send('PUT', `/v1/roles/${role.body.id}`, { name: 'of-it', rules, ...zones }))
    expect(await change({ namespace: zone, zone_id: other })).toEqual([400, 'invalid_body'])
    expect(await change({ namespace: other })).toEqual([400, 'invalid_body'])
    expect(await change({ workspace: slug })).toEqual([200, undefined])
  })

  test('54: an account of another zone is not there, administrator or not', async () => {
    const zone = await stage.zone()
    const { items } = (await stage.send('GET', '/v1/role-bindings?limit=500')).body
    const { subject } = items.find((item: { role_name: string }) => item.role_name === 'platform-admin')
    const minted = await stage.send('POST', '/v1/admin-tokens', { name: 'z', scope: 'zone', zone_id: zone })
    const { token } = minted.body
    const path = `/v1/zones/${zone}/service-accounts/${subject.id}`
    const absent = [404, 'service_account_not_found']
    expect(await outcome(stage.send('PATCH', path, { status: 'inactive' }, { token }))).toEqual(absent)
    expect(await outcome(stage.send('DELETE', path, undefined, { token }))).toEqual(absent)
  })

  test('54: a narrowed key makes and rotates only keys as narrow as itself', async () => {
    const admin = await person('platform-admin', null)
    const rules = [{ api_groups: ['iam'], resources: ['api-keys'], verbs: ['create', 'rotate'] }]
    const make = async (body: object, token?: string) =>
      stage.send('POST', '/v1/api-keys', { service_account_id: admin.id, ...body }, token ? { token } : {})
    const wide = (await make({ name: 'wide' })).body
    const narrow = (await make({ name: 'narrow', rules })).body
    const escalation = [403, 'privilege_escalation']
    expect(await outcome(make({ name: 'escaped' }, narrow.key))).toEqual(escalation)
    const rotate = (id: string) =>
      outcome(stage.send('POST', `/v1/api-keys/${id}/rotate`, {}, { token: narrow.key }))
    expect(await rotate(wide.id)).toEqual(escalation)
    expect(await outcome(make({ name: 'as narrow', rules }, narrow.key))).toEqual([201, undefined])
    expect(await rotate(narrow.id)).toEqual([200, undefined])
    expect(await outcome(admin.send('POST', '/v1/api-keys', { name: 'own' }))).toEqual([201, undefined])
    expect(await outcome(stage.send('DELETE', `/v1/service-accounts/${admin.id}`))).toEqual([204, undefined])
  })

  test('54: an admin token takes the rules of the role it equals', async () => {
    const zone = await stage.zone()
    const name = 'token-maker'
    const rules = [{ api_groups: ['iam'], resources: ['admin-tokens'], verbs: ['create'] }]
    expect((await stage.send('POST', '/v1/roles', { name, rules })).status).toBe(201)
    const maker = await person(name, null)
    const mint = (capability: string, where: object) =>
      outcome(maker.send('POST', '/v1/admin-tokens', { name: 't', capability, ...where }))
    for (const where of [{ scope: 'global' }, { scope: 'zone', zone_id: zone }]) {
      expect(await mint('write', where)).toEqual([403, 'privilege_escalation'])
      expect(await mint('read', where)).toEqual([403, 'privilege_escalation'])
    }
    const body = { role_name: 'viewer', principal_name: maker.name, zone_id: zone }
    expect((await stage.send('POST', '/v1/role-bindings', body)).status).toBe(201)
    await eventually(async () => (await mint('read', { scope: 'zone', zone_id: zone })).join() === '201,', {
      timeoutMs: 15_000,
    })
    expect(await mint('read', { scope: 'global' })).toEqual([403, 'privilege_escalation'])
  })

  test('55: an API key acts as its account and can be rotated with a grace time', async () => {
    const zone = await stage.zone()
    const account = await person('zone-admin', zone)
    const made = await stage.send('POST', '/v1/api-keys', {
      name: 'ci',
      service_account_id: account.id,
      rules: [{ api_groups: ['core'], resources: ['applications'], verbs: ['*'] }],
    })
    expect(made.status).toBe(201)
    const inAYear = (days: number) => {
      const at = new Date()
      at.setUTCFullYear(at.getUTCFullYear() + 1, at.getUTCMonth(), at.getUTCDate() + days)
      const body = { name: 'ends', service_account_id: account.id, expires_at: at.toISOString() }
      return outcome(stage.send('POST', '/v1/api-keys', body))
    }
    expect(await inAYear(-1)).toEqual([201, undefined])
    expect(await inAYear(1)).toEqual([400, 'invalid_api_key_request'])
    const { key, id, prefix } = made.body
    expect(key).toMatch(/^cak_[0-9a-f]{32}_[A-Za-z0-9_-]{43}$/)
    expect(prefix).toBe(key.slice(0, 12))
    const path = `/v1/zones/${zone}/applications`
    const withHeader = (value: string) =>
      stage.send('GET', path, undefined, { token: null, headers: { 'x-api-key': value } })
    expect((await withHeader(key)).status).toBe(200)
    expect((await stage.send('GET', path, undefined, { token: key })).status).toBe(200)
    expect((await stage.send('GET', `/v1/zones/${zone}/policies`, undefined, { token: key })).status).toBe(
      403,
    )
    expect(await outcome(stage.send('GET', path, undefined, { headers: { 'x-api-key': key } }))).toEqual([
      400,
      'ambiguous_credentials',
    ])
    const rotated = await stage.send('POST', `/v1/api-keys/${id}/rotate`, { grace_seconds: 60 })
    expect((await withHeader(rotated.body.key)).status).toBe(200)
    expect((await withHeader(key)).status).toBe(200)
    await stage.database.admin`update api_keys set previous_valid_until = now() where id = ${id}`
    await eventually(async () => (await withHeader(key)).status === 401, {
      timeoutMs: 15_000,
      intervalMs: 200,
    })
    expect((await stage.send('DELETE', `/v1/api-keys/${id}`)).status).toBe(204)
    await eventually(
      async () => (await outcome(withHeader(rotated.body.key))).join() === '401,invalid_api_key',
      { timeoutMs: 15_000, intervalMs: 200 },
    )
    expect((await stage.send('GET', '/v1/api-keys')).text).not.toContain(key)
  })

  test('56: row security holds without the application', async () => {
    const a = await stage.zone('A')
    const b = await stage.zone('B')
    const made = async (zone: string) =>
      (
        await stage.send('POST', `/v1/zones/${zone}/applications`, {
          name: 'x',
          registration_method: 'managed',
        })
      ).body.id
    const inA = await made(a)
    await made(b)
    const { db } = stage.database
    const visible = (zone: string) =>
      db.transaction(async (tx) => tx.sql<{ zone_id: string }[]>`select zone_id from applications`, { zone })
    expect(await visible('')).toHaveLength(0)
    expect(new Set((await visible(a)).map((row) => row.zone_id))).toEqual(new Set([a]))
    expect(new Set((await visible(`${a},${b}`)).map((row) => row.zone_id))).toEqual(new Set([a, b]))
    const smuggle = db.transaction(
      (tx) =>
        tx.sql`insert into applications (id, zone_id, name, registration_method) values ('smuggled', ${b}, 'x', 'managed')`,
      { zone: a },
    )
    await expect(smuggle).rejects.toThrow(/row-level security/)
    const viewer = await person('viewer', a)
    const zones = await viewer.send('GET', '/v1/zones')
    expect(zones.body.items.map((zone: { id: string }) => zone.id)).toEqual([a])
    expect((await viewer.send('GET', `/v1/zones/${a}/applications/${inA}`)).status).toBe(200)
    for (const path of ['', '/applications', '/policies', '/audit', '/overview']) {
      expect((await viewer.send('GET', `/v1/zones/${b}${path}`)).status).toBe(403)
    }
    expect((await viewer.send('GET', `/v1/zones/${a}/applications/${inA}/client-secret`)).status).toBe(403)
  })
})
