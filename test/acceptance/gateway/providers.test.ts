/** gateway, acceptance checks 66, 67, 71, 72, 76 and 79: what the management API asks upstreams and identity providers. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createTlsServer, type TlsAnswer, type TlsServer } from '../../fixtures/tls-server.ts'
import { createStage, type Stage } from '../../roles/control/stage.ts'

interface Seen {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly form: URLSearchParams
}

let stage: Stage
let upstream: TlsServer
let seen: Seen[] = []
let answer: (call: Seen) => TlsAnswer = () => ({ body: {} })

beforeAll(async () => {
  upstream = await createTlsServer((request: IncomingMessage, body) => {
    const call = {
      method: request.method ?? '',
      path: request.url ?? '',
      authorization: request.headers.authorization,
      form: new URLSearchParams(body),
    }
    seen.push(call)
    return answer(call)
  })
  stage = await createStage({ egress: upstream.egress })
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})
beforeEach(() => {
  seen = []
})

test('66: an archived resource leaves the list and its identifier', async () => {
  const zone = await stage.zone()
  const path = `/v1/zones/${zone}/resources`
  const none = await stage.send('POST', `/v1/zones/${zone}/providers`, { name: 'N', kind: 'none' })
  const create = () =>
    stage.send('POST', path, {
      name: 'R',
      identifier: 'resource://r',
      upstream_url: upstream.url('api'),
      scopes: ['r:read'],
      credential_provider_id: none.body.id,
    })
  const ids = async (query = ''): Promise<string[]> =>
    (await stage.send('GET', `${path}${query}`)).body.items.map(({ id }: { id: string }) => id)
  const first = (await create()).body.id
  expect((await create()).status).toBe(409)
  expect((await stage.send('DELETE', `${path}/${first}`)).status).toBe(204)
  expect([await ids(), await ids('?status=archived')]).toEqual([[], [first]])
  const second = await create()
  expect([second.status, second.body.identifier]).toEqual([201, 'resource://r'])
  expect(await ids()).toEqual([second.body.id])
})

test('67: the probe of a resource carries no valid mandate and says what the upstream made of it', async () => {
  const zone = await stage.zone()
  const mandates = await stage.send('POST', `/v1/zones/${zone}/providers`, {
    name: 'Mandates',
    kind: 'caracal_mandate',
    config_json: {},
  })
  const resource = async (upstreamUrl: string, provider: string): Promise<string> => {
    const made = await stage.send('POST', `/v1/zones/${zone}/resources`, {
      name: 'R',
      upstream_url: upstreamUrl,
      scopes: ['r:read'],
      credential_provider_id: provider,
    })
    expect(made.status).toBe(201)
    return made.body.id
  }
  const probe = async (id: string) => {
    const answered = await stage.send('POST', `/v1/zones/${zone}/resources/${id}/test`)
    return answered.body.status ?? answered.body.error
  }
  const here = await resource(`${upstream.url('api')}/v1`, mandates.body.id)
  for (const [status, verdict] of [
    [401, 'guarded'],
    [403, 'guarded'],
    [200, 'unverified'],
    [404, 'endpoint_error'],
  ] as const) {
    answer = () => ({ status, body: {} })
    expect([status, await probe(here)]).toEqual([status, verdict])
  }
  expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual(Array(4).fill('HEAD /v1'))
  const [header = '', claims = ''] = (seen[0]?.authorization ?? '').replace('Bearer ', '').split('.')
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
  expect(read(header)).toMatchObject({ alg: 'ES256', kid: expect.stringMatching(/^caracal-verify-probe-/) })
  expect(read(claims)).toMatchObject({ sub: 'caracal-verification-probe', zone_id: zone, use: 'resource' })
  expect(read(claims).exp - read(claims).iat).toBe(60)

  expect(await probe(await resource('https://nowhere.invalid/', mandates.body.id))).toBe('unreachable')
  const key = await stage.send('POST', `/v1/zones/${zone}/providers`, {
    name: 'Key',
    kind: 'api_key',
    config_json: { auth_location: 'header', header_name: 'X-Key', api_key: 'k' },
  })
  const other = await resource(upstream.url('api'), key.body.id)
  expect(await probe(other)).toBe('resource_verification_unsupported')
  for (let spent = 5; spent < 10; spent += 1) await probe(here)
  expect(await probe(here)).toBe('resource_test_rate_limited')
})

const credentials = () => ({
  token_endpoint: `${upstream.url('login')}/token`,
  client_id: 'c',
  client_secret: 's',
})

test('71: a checked provider is made only when its endpoint knows the client, and a test keeps the mark', async () => {
  const zone = await stage.zone()
  const path = `/v1/zones/${zone}/providers`
  const create = (check: boolean) =>
    stage.send('POST', path, {
      name: 'Login',
      kind: 'oauth2_client_credentials',
      config_json: credentials(),
      check,
    })
  answer = () => ({ status: 401, body: { error: 'invalid_client' } })
  const refused = await create(true)
  expect([refused.status, refused.body.error]).toEqual([422, 'provider_check_failed'])
  expect(refused.body.details.check).toMatchObject({ status: 'auth_failed' })
  expect((await stage.send('GET', path)).body.items).toEqual([])

  answer = () => ({ body: { access_token: 'dropped', token_type: 'Bearer' } })
  const made = await create(true)
  expect([made.status, made.body.connectivity_failed_at]).toEqual([201, null])
  expect(made.text).not.toContain('dropped')

  const marked = async () => (await stage.send('GET', `${path}/${made.body.id}`)).body.connectivity_failed_at
  const tested = () => stage.send('POST', `${path}/${made.body.id}/test`)
  answer = () => ({ status: 500, body: {} })
  expect((await tested()).body).toMatchObject({ status: 'endpoint_error' })
  expect(await marked()).not.toBeNull()
  answer = () => ({ body: { access_token: 'dropped' } })
  expect((await tested()).body).toMatchObject({ status: 'ok' })
  expect(await marked()).toBeNull()
})

test('72: discovery believes an issuer only under its own name', async () => {
  const zone = await stage.zone()
  const issuer = `${upstream.url('idp')}/tenant`
  const discover = (of: string) => stage.send('POST', `/v1/zones/${zone}/providers/discovery`, { issuer: of })
  const document = {
    issuer,
    token_endpoint: `${issuer}/token`,
    authorization_endpoint: `${issuer}/authorize`,
    revocation_endpoint: 'http://plain.test/revoke',
    scopes_supported: ['openid'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'tls_client_auth'],
  }
  answer = ({ path }) =>
    path === '/tenant/.well-known/openid-configuration' ? { body: document } : { status: 404, body: {} }
  const found = await discover(`${issuer}/`)
  expect([found.status, found.body]).toEqual([
    200,
    {
      issuer,
      token_endpoint: `${issuer}/token`,
      authorization_endpoint: `${issuer}/authorize`,
      scopes_supported: ['openid'],
      token_endpoint_auth_methods_supported: ['client_secret_post'],
    },
  ])
  answer = ({ path }) =>
    path === '/.well-known/oauth-authorization-server/tenant' ? { body: document } : { status: 404, body: {} }
  expect((await discover(issuer)).status).toBe(200)
  answer = () => ({ body: { ...document, issuer: 'https://evil.example' } })
  const foreign = await discover(issuer)
  expect([foreign.status, foreign.body.error]).toEqual([422, 'provider_discovery_failed'])
  expect((await discover('http://idp.test.example')).body.error).toBe('invalid_issuer')
  for (const address of ['https://127.0.0.1', 'https://10.0.0.1'])
    expect((await discover(address)).status).toBe(422)
})

describe('connections', () => {
  async function connectable(extra: Record<string, unknown> = {}) {
    const zone = await stage.zone()
    const provider = await stage.send('POST', `/v1/zones/${zone}/providers`, {
      name: 'Accounts',
      kind: 'oauth2_authorization_code',
      config_json: {
        ...credentials(),
        authorization_endpoint: `${upstream.url('login')}/authorize`,
        redirect_uri: 'https://caracal.test/callback',
        ...extra,
      },
    })
    expect(provider.status).toBe(201)
    const path = `/v1/zones/${zone}/provider-connections`
    const begin = () => stage.send('POST', `${path}/oauth/authorize`, { provider_id: provider.body.id })
    const finish = (query: Record<string, string>, accept = 'application/json', to = path) =>
      stage.send('GET', `${to}/oauth/callback?${new URLSearchParams(query)}`, undefined, {
        token: null,
        headers: { accept },
      })
    return { zone, path, providerId: provider.body.id as string, begin, finish }
  }

  test('76: the consent round trip, proven by PKCE, sealed, and its state spent once', async () => {
    const { path, providerId, begin, finish } = await connectable()
    const { body } = await begin()
    const challenge = new URL(body.authorization_url).searchParams.get('code_challenge')
    answer = () => ({
      body: { access_token: 'access-1', refresh_token: 'refresh-1', token_type: 'Bearer', expires_in: 600 },
    })
    const made = await finish({ state: body.state, code: 'the-code' })
    expect([made.status, made.body.status, made.body.provider_id]).toEqual([201, 'active', providerId])
    expect(made.text).not.toMatch(/access-1|refresh-1/)
    const [exchange] = seen
    expect(exchange?.form.get('code')).toBe('the-code')
    const verifier = exchange?.form.get('code_verifier') ?? ''
    expect(createHash('sha256').update(verifier).digest('base64url')).toBe(challenge)
    const [row] = await stage.database.admin<{ access: Buffer; refresh: Buffer }[]>`
      select access_token_ct as access, refresh_token_ct as refresh
      from provider_connections where id = ${made.body.id}`
    for (const sealed of [row?.access, row?.refresh]) {
      expect(sealed?.subarray(0, 4).toString()).toBe('CSS1')
      expect(sealed?.toString('latin1')).not.toMatch(/access-1|refresh-1/)
    }
    const again = await finish({ state: body.state, code: 'the-code' })
    expect([again.status, again.body.error]).toEqual([400, 'oauth_state_expired'])
    expect((await stage.send('GET', path)).body.items[0]).toMatchObject({ renewable: true })
  })

  test('76: a state of another zone is spent and refused', async () => {
    const mine = await connectable()
    const other = await connectable()
    const { body } = await mine.begin()
    const crossed = await mine.finish({ state: body.state, code: 'x' }, 'application/json', other.path)
    expect([crossed.status, crossed.body.error]).toEqual([400, 'oauth_state_mismatch'])
    expect((await mine.finish({ state: body.state, code: 'x' })).body.error).toBe('oauth_state_expired')
    expect(seen).toEqual([])
  })

  test('76: a browser gets a page that repeats nothing as markup', async () => {
    const { begin, finish } = await connectable()
    const { body } = await begin()
    const page = await finish(
      { state: body.state, error: 'access_denied', error_description: '<script>alert(1)</script>' },
      'text/html',
    )
    expect(page.status).toBe(400)
    expect(page.headers.get('content-type')).toContain('text/html')
    expect(page.text).toContain('<h1>Not connected</h1>')
    expect(page.text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
    expect(page.text).not.toContain('<script>')
    answer = () => ({ body: { access_token: 'at', token_type: 'Bearer' } })
    const next = (await begin()).body.state
    const done = await finish({ state: next, code: 'c' }, 'text/html')
    expect([done.status, done.headers.get('content-type')]).toEqual([201, 'text/html; charset=utf-8'])
    expect(done.text).toContain('<h1>Connected</h1>')
  })

  test.each([
    [200, 'revoked'],
    [500, 'failed'],
  ] as const)('79: an endpoint that answers %i: %s, and revoked here either way', async (status, told) => {
    const { path, providerId } = await connectable({
      revocation_endpoint: `${upstream.url('login')}/revoke`,
    })
    await stage.send('POST', path, { provider_id: providerId, access_token: 'at', refresh_token: 'rt' })
    answer = () => ({ status, body: {} })
    const revoked = await stage.send('POST', `${path}/revoke`, { provider_id: providerId })
    expect(revoked.body).toMatchObject({ status: 'revoked', upstream_revocation: told })
    expect(Object.fromEntries(seen[0]?.form ?? [])).toMatchObject({
      token: 'rt',
      token_type_hint: 'refresh_token',
    })
    expect((await stage.send('GET', `${path}?status=active`)).body.items).toEqual([])
  })
})
