import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { createStage, type Send, type Stage, tellsWhenToComeAgain } from '../../roles/control/stage.ts'

// Passwords cost tens of milliseconds of CPU each.
vi.setConfig({ testTimeout: 60_000 })

let stage: Stage
let zone: string
beforeAll(async () => {
  stage = await createStage({
    settings: {
      CARACAL_BOOTSTRAP_USERNAME: 'root',
      CARACAL_BOOTSTRAP_PASSWORD: 'correct horse battery',
      API_MAX_RESOURCES_PER_ZONE: 1,
    },
  })
  zone = await stage.zone()
})
afterAll(() => stage[Symbol.asyncDispose]())

const refusal = async (answer: ReturnType<Send>) => {
  const { status, body } = await answer
  return `${status} ${body?.error}`
}
const fullPath = (path: string) => (path.startsWith('/') ? path : `/v1/zones/${zone}/${path}`)
const ask = (method: string, path: string, body?: unknown, send: Send = stage.send) =>
  refusal(send(method, fullPath(path), body))
const make = async (path: string, body?: unknown) => {
  const answer = await stage.send('POST', fullPath(path), body)
  expect(answer.status, answer.text).toBeLessThan(300)
  return answer.body
}
/** Deeper than what walks a body could go. */
const deep = `{"x":${'{"a":'.repeat(6000)}1${'}'.repeat(6001)}`
const document = '# caracal:data-document\npackage caracal.authz\napp_ids := {"a": "b"}\n'

describe('what is not there is 404 under its own name (control-api §7)', () => {
  const of: Readonly<Record<string, readonly string[]>> = {
    application_not_found: [
      'GET applications/nope',
      'PATCH applications/nope',
      'POST applications/nope/rotate-secret',
      'GET applications/nope/client-secret',
      'DELETE applications/nope',
    ],
    workload_not_found: [
      'GET workloads/nope',
      'PUT workloads/nope',
      'POST workloads/nope/rotate-secret',
      'GET workloads/nope/secret',
      'DELETE workloads/nope',
    ],
    provider_not_found: [
      'GET providers/nope',
      'PATCH providers/nope',
      'POST providers/nope/test',
      'DELETE providers/nope',
    ],
    resource_not_found: [
      'GET resources/nope',
      'PATCH resources/nope',
      'POST resources/nope/test',
      'DELETE resources/nope',
    ],
    policy_not_found: ['GET policies/nope', 'POST policies/nope/versions', 'DELETE policies/nope'],
    policy_template_not_found: ['GET /v1/policy-templates/nope'],
    policy_set_not_found: [
      'GET policy-sets/nope',
      'GET policy-sets/nope/versions',
      'POST policy-sets/nope/versions',
      'DELETE policy-sets/nope',
    ],
    policy_set_binding_not_found: [
      'POST policy-sets/nope/activate',
      'GET policy-sets/nope/activation-status',
    ],
    grant_not_found: ['GET grants/nope', 'DELETE grants/nope'],
    subject_issuer_not_found: [
      'GET subject-issuers/nope',
      'PATCH subject-issuers/nope',
      'DELETE subject-issuers/nope',
    ],
    approval_not_found: ['GET approvals/nope', 'POST approvals/nope/approve', 'POST approvals/nope/reject'],
    sink_not_found: [
      'GET notification-sinks/nope',
      'PATCH notification-sinks/nope',
      'POST notification-sinks/nope/rotate-secret',
      'GET notification-sinks/nope/deliveries',
      'DELETE notification-sinks/nope',
    ],
    service_account_not_found: [
      'GET /v1/service-accounts/nope',
      'PATCH /v1/service-accounts/nope',
      'POST /v1/service-accounts/nope/password',
      'DELETE /v1/service-accounts/nope',
      'GET service-accounts/nope',
    ],
    role_not_found: ['GET /v1/roles/nope', 'PUT /v1/roles/nope', 'DELETE /v1/roles/nope', 'GET roles/nope'],
    role_binding_not_found: ['GET /v1/role-bindings/nope', 'DELETE role-bindings/nope'],
    api_key_not_found: ['POST /v1/api-keys/nope/rotate', 'DELETE api-keys/nope'],
    zone_not_found: [
      'GET /v1/zones/nope',
      'PATCH /v1/zones/nope',
      'DELETE /v1/zones/nope',
      'GET /v1/zones/nope/dcr-status',
    ],
  }
  /** Enough to get past the checks of the body. */
  const bodies: Readonly<Record<string, unknown>> = {
    'PATCH applications': { name: 'x' },
    'PUT workloads': { name: 'x' },
    'PATCH providers': { name: 'x' },
    'PATCH resources': { name: 'x' },
    'POST policies': { content: document },
    'POST policy-sets/nope/versions': { manifest: [{ policy_version_id: 'nope' }] },
    'POST policy-sets/nope/activate': { version_id: 'nope' },
    'PATCH subject-issuers': { audience: 'x' },
    'PATCH notification-sinks': { name: 'x' },
    'PATCH /v1/service-accounts': { status: 'inactive' },
    'POST /v1/service-accounts': { new_password: 'long enough to count' },
    'PUT /v1/roles': { name: 'r', rules: [{ api_groups: ['core'], resources: ['zones'], verbs: ['get'] }] },
    'POST /v1/api-keys': {},
    'PATCH /v1/zones': { name: 'x' },
  }
  test.each(Object.entries(of))('404 %s', async (code, requests) => {
    for (const request of requests) {
      const [method = '', path = ''] = request.split(' ')
      const body = Object.entries(bodies).find(([start]) => request.startsWith(start))?.[1]
      expect(await ask(method, path, body), request).toBe(`404 ${code}`)
    }
  })
})

describe('a body that is not as described is 400 under the name of its route', () => {
  test.each([
    ['POST /v1/zones', 'invalid_zone'],
    ['POST applications', 'invalid_application'],
    ['POST workloads', 'invalid_workload'],
    ['POST providers', 'invalid_provider'],
    ['POST resources', 'invalid_resource'],
    ['POST provider-connections', 'invalid_provider_connection'],
    ['POST provider-connections/oauth/authorize', 'invalid_provider_oauth_authorize'],
    ['POST provider-connections/revoke', 'invalid_provider_connection_revoke'],
    ['POST policies', 'invalid_body'],
    ['POST policy-sets', 'invalid_body'],
    ['POST grants', 'invalid_body'],
    ['POST subject-issuers', 'invalid_subject_issuer'],
    ['POST subjects/revoke', 'invalid_subject_revoke'],
    ['POST /v1/admin-tokens', 'invalid_admin_token_request'],
    ['POST /v1/service-accounts', 'invalid_service_account'],
    ['POST /v1/roles', 'invalid_role'],
    ['POST /v1/role-bindings', 'invalid_role_binding'],
    ['POST /v1/api-keys', 'invalid_api_key_request'],
    ['POST /v1/auth/login', 'invalid_login'],
  ])('%s: %s', async (request, code) => {
    const [method = '', path = ''] = request.split(' ')
    expect(await ask(method, path, { nope: 1 })).toBe(`400 ${code}`)
    expect(await ask(method, path, [])).toBe(`400 ${code}`)
    expect(await refusal(stage.send(method, fullPath(path), undefined, { raw: deep }))).toBe(`400 ${code}`)
  })

  test('DELETE /v1/admin-tokens: invalid_admin_token_id', async () => {
    expect(await ask('DELETE', '/v1/admin-tokens/a%20b')).toBe('400 invalid_admin_token_id')
  })
})

describe('what stands in the way has a name (control-api §7)', () => {
  test('a token that manages tokens is global and not made from another', async () => {
    const { token } = await make('/v1/admin-tokens', { name: 'z', scope: 'zone', zone_id: zone })
    const send: Send = (method, path, body) => stage.send(method, path, body, { token })
    expect(await ask('POST', '/v1/admin-tokens', { name: 'x', scope: 'global' }, send)).toMatch(/^403 /)
    expect(await ask('GET', '/v1/admin-tokens', undefined, send)).toMatch(/^403 /)
  })

  test('registered applications: their secret is not kept, not chosen, and there is an end to them', async () => {
    const own = await stage.zone()
    const path = `/v1/zones/${own}`
    await stage.send('PATCH', path, { dcr_enabled: true })
    const app = await make(`${path}/applications/dcr`, { name: 'd' })
    expect(await ask('GET', `${path}/applications/${app.id}/client-secret`)).toBe('404 application_not_found')
    const chosen = { client_secret: 'c'.repeat(40) }
    expect(await ask('PATCH', `${path}/applications/${app.id}`, chosen)).toBe(
      '400 client_secret_not_configured',
    )
    const off = await stage.send('PATCH', path, { dcr_enabled: false, dcr_shutdown: 'keep_live' })
    expect(off.status).toBe(200)
    expect((await stage.send('GET', `${path}/applications/${app.id}`)).status).toBe(200)
    await stage.send('PATCH', path, { dcr_enabled: true })
    await stage.database.admin`
      insert into applications (id, zone_id, name, registration_method, expires_at)
      select 'dcr-' || n, ${own}, 'dcr ' || n, 'dcr', now() + interval '1 hour' from generate_series(1, 10000) n`
    const full = await stage.send('POST', `${path}/applications/dcr`, { name: 'one more' })
    expect([full.status, full.body.error]).toEqual([429, 'dcr_limit_exceeded'])
    expect(tellsWhenToComeAgain(full)).toBe(true)
  })

  test('a secret of which no copy is kept is told as such', async () => {
    const app = await make('applications', { name: uuidv7(), registration_method: 'managed' })
    const workload = await make('workloads', { name: uuidv7() })
    await stage.database
      .admin`delete from secret_store where ref like ${`%${app.id}%`} or ref like ${`%${workload.id}%`}`
    expect(await ask('GET', `applications/${app.id}/client-secret`)).toBe('404 client_secret_not_stored')
    expect(await ask('GET', `workloads/${workload.id}/secret`)).toBe('404 workload_secret_not_stored')
  })

  test('identifiers of providers, and the number of resources', async () => {
    const provider = { name: 'n', kind: 'none', identifier: 'provider://mine' }
    const { id } = await make('providers', provider)
    expect(await ask('POST', 'providers', provider)).toBe('409 provider_identifier_conflict')
    const odd = { ...provider, identifier: 'provider://Mine' }
    expect(await ask('POST', 'providers', odd)).toBe('400 invalid_provider_identifier')
    const resource = { scopes: ['a'], upstream_url: 'http://up.test', credential_provider_id: id }
    const names = ['r', 's', 't', 'u', 'v', 'w', 'x', 'y']
    const asked = names.map((name) => stage.send('POST', fullPath('resources'), { ...resource, name }))
    const answers = (await Promise.all(asked)).map(({ status, body }) => `${status} ${body?.error}`).sort()
    expect(answers).toEqual(['201 undefined', ...names.slice(1).map(() => '409 resource_quota_exceeded')])
  })

  test('an authorization endpoint nobody can be sent to', async () => {
    const { id } = await make('providers', {
      name: 'u',
      kind: 'oauth2_authorization_code',
      config_json: {
        authorization_endpoint: 'https://idp.test/authorize',
        token_endpoint: 'https://idp.test/token',
        redirect_uri: 'https://caracal.test/callback',
        client_id: 'c',
        client_secret: 's',
      },
    })
    await stage.database.admin`
      update providers set config_json = config_json || '{"authorization_endpoint":"http://idp.test"}' where id = ${id}`
    expect(await ask('POST', 'provider-connections/oauth/authorize', { provider_id: id })).toBe(
      '400 provider_authorization_endpoint_invalid',
    )
  })

  test('policy sets: taken names, versions of others, and what an activation refers to', async () => {
    const policy = await make('policies', { name: 'p', content: document })
    const set = await make('policy-sets', { name: 's' })
    expect(await ask('POST', 'policy-sets', { name: 's' })).toBe('409 policy_set_name_conflict')
    const other = await make('policy-sets', { name: 'other' })
    const manifest = [{ policy_version_id: policy.version_id }]
    const { version_id } = await make(`policy-sets/${set.id}/versions`, { manifest })
    const at = `policy-sets/${set.id}`
    expect(await ask('GET', `${at}/versions/nope`)).toBe('404 policy_set_version_not_found')
    expect(await ask('GET', `policy-sets/${other.id}/versions/${version_id}`)).toBe(
      '404 policy_set_version_not_found',
    )
    expect(await ask('POST', `policy-sets/${other.id}/activate`, { version_id })).toBe(
      '404 version_not_found',
    )
    expect(await ask('POST', `${at}/simulate`, { version_id: 'nope' })).toBe('404 version_not_found')
    expect(await ask('GET', `${at}/activation-status`)).toBe('404 active_policy_set_version_not_found')
    expect(await ask('GET', `${at}/activation-status?version_id=nope`)).toBe(
      '404 active_policy_set_version_not_found',
    )
  })

  test('a zone trusts so many issuers and no more', async () => {
    const own = await stage.zone()
    await stage.database.admin`
      insert into subject_issuers (id, zone_id, issuer, jwks_url, audience)
      select 'issuer-' || n, ${own}, 'https://idp' || n || '.test', 'https://idp.test/jwks', 'a'
      from generate_series(1, 100) n`
    const issuer = { issuer: 'https://more.test', jwks_url: 'https://more.test/jwks', audience: 'a' }
    expect(await ask('POST', `/v1/zones/${own}/subject-issuers`, issuer)).toBe(
      '409 subject_issuer_limit_reached',
    )
  })

  test('accounts, roles and bindings', async () => {
    const account = { username: 'ada', password: 'a long password' }
    const { id } = await make('/v1/service-accounts', account)
    expect(await ask('POST', '/v1/service-accounts', account)).toBe('409 username_taken')
    const role = {
      name: 'reader',
      rules: [{ api_groups: ['policy'], resources: ['policies'], verbs: ['get'] }],
    }
    const made = await make('/v1/roles', role)
    expect(await ask('POST', '/v1/roles', role)).toBe('409 role_name_conflict')
    const second = await make('/v1/roles', { ...role, name: 'second' })
    expect(await ask('PUT', `/v1/roles/${second.id}`, role)).toBe('409 role_name_conflict')
    const binding = { role_id: made.id, subject: { kind: 'service_account', id } }
    const nobody = { ...binding, subject: { kind: 'service_account', id: 'nope' } }
    expect(await ask('POST', '/v1/role-bindings', nobody)).toBe('404 principal_not_found')
    await make('/v1/role-bindings', binding)
    expect(await ask('DELETE', `/v1/roles/${made.id}`)).toBe('409 role_in_use')
    const login = await make('/v1/auth/login', account)
    const send: Send = (method, path, body) => stage.send(method, path, body, { token: login.access_token })
    const change = { current_password: 'not this one', new_password: 'another long password' }
    expect(await ask('POST', `/v1/service-accounts/${id}/password`, change, send)).toMatch(
      /^403 (current_password_invalid|forbidden)$/,
    )
  })
})
