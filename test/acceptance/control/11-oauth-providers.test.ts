import { createHash, generateKeyPairSync } from 'node:crypto'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createTlsServer, type TlsAnswer, type TlsServer } from '../../fixtures/tls-server.ts'
import { createStage, type Stage } from '../../roles/control/stage.ts'

interface Asked {
  readonly path: string
  readonly form: URLSearchParams
  readonly authorization: string | undefined
}

let stage: Stage
let issuer: TlsServer
let asked: Asked[] = []
let answer: (request: Asked) => TlsAnswer = () => ({ body: {} })

beforeAll(async () => {
  issuer = await createTlsServer((request, body) => {
    const one = {
      path: request.url ?? '',
      form: new URLSearchParams(body),
      authorization: request.headers.authorization,
    }
    asked.push(one)
    return answer(one)
  })
  stage = await createStage({ egress: issuer.egress })
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
})
beforeEach(() => {
  asked = []
})

/** An answer of a token endpoint. */
const token = (members: object, status = 200) => {
  answer = () => ({ status, body: members })
}

async function provider(zone: string, kind: string, more: object = {}, options: object = {}) {
  const made = await stage.send('POST', `/v1/zones/${zone}/providers`, {
    name: 'login',
    kind,
    config_json: {
      token_endpoint: `${issuer.url('login')}/token`,
      client_id: 'client',
      client_secret: 'hush',
      client_auth_method: 'client_secret_basic',
      ...more,
    },
    ...options,
  })
  return { status: made.status, id: made.body.id as string, body: made.body, text: made.text }
}

const consented = () => ({
  authorization_endpoint: `${issuer.url('login')}/authorize`,
  revocation_endpoint: `${issuer.url('login')}/revoke`,
  redirect_uri: 'https://caracal.example/callback',
  scopes: ['mail.read'],
})

describe('trying the credential of a provider (control-api §7.6, §16 check 27)', () => {
  test('27: client credentials: a token, a refused client, a refused request, anything else', async () => {
    const zone = await stage.zone()
    const { id } = await provider(zone, 'oauth2_client_credentials', { scopes: ['a', 'b'] })
    const path = `/v1/zones/${zone}/providers/${id}`
    const tried = async () => {
      const answered = await stage.send('POST', `${path}/test`)
      const failed = (await stage.send('GET', path)).body.connectivity_failed_at
      expect(answered.text).not.toContain('hush')
      return [answered.status, answered.body.status, failed === null]
    }
    token({ access_token: 'dropped' })
    expect(await tried()).toEqual([200, 'ok', true])
    expect(asked[0]?.authorization).toBe(`Basic ${Buffer.from('client:hush').toString('base64')}`)
    expect(Object.fromEntries(asked[0]?.form ?? [])).toEqual({
      grant_type: 'client_credentials',
      scope: 'a b',
    })
    token({ error: 'invalid_client' }, 401)
    expect(await tried()).toEqual([200, 'auth_failed', false])
    token({ error: 'invalid_scope' }, 400)
    expect(await tried()).toEqual([200, 'config_error', false])
    token({ access_token: '' })
    expect(await tried()).toEqual([200, 'endpoint_error', false])
    token({ access_token: 'dropped' })
    expect(await tried()).toEqual([200, 'ok', true])
    const tokens = await stage.database
      .admin`select 1 from secret_store s where to_jsonb(s)::text like '%dropped%'`
    expect(tokens).toHaveLength(0)
  })

  test('27: what is tried is what the STS will send (gateway §25.2, §25.3)', async () => {
    const zone = await stage.zone()
    token({ access_token: 'dropped' })
    const secret = 'a+b/c=%d'
    const basic = await provider(
      zone,
      'oauth2_client_credentials',
      { client_secret: secret },
      { check: true },
    )
    expect(basic.status).toBe(201)
    expect(asked[0]?.authorization).toBe(`Basic ${Buffer.from(`client:${secret}`).toString('base64')}`)

    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const keyed = {
      client_secret: undefined,
      private_key: privateKey.export({ format: 'pem', type: 'pkcs8' }),
    }
    const proof = { ...keyed, client_auth_method: 'private_key_jwt' }
    const proven = await provider(zone, 'oauth2_client_credentials', proof, { check: true })
    expect(proven.status).toBe(201)
    const { exp = 0, iat = 0, aud } = decodeJwt(asked[1]?.form.get('client_assertion') ?? '')
    expect([exp - iat, aud]).toEqual([60, `${issuer.url('login')}/token`])

    const bearer = { ...keyed, client_auth_method: 'none', grant_type: 'jwt_bearer', scopes: ['a', 'b'] }
    const granted = await provider(zone, 'oauth2_client_credentials', bearer, { check: true })
    expect(granted.status).toBe(201)
    const { assertion = '', ...form } = Object.fromEntries(asked[2]?.form ?? [])
    expect(form).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      client_id: 'client',
    })
    expect(decodeJwt(assertion)).toMatchObject({ iss: 'client', sub: 'client', scope: 'a b' })
  })

  test('27: a check on creation keeps nothing of a provider that does not work', async () => {
    const zone = await stage.zone()
    token({ error: 'unauthorized_client' }, 400)
    const refused = await provider(zone, 'oauth2_client_credentials', {}, { check: true })
    expect([refused.status, refused.body.error]).toEqual([422, 'provider_check_failed'])
    expect((await stage.send('GET', `/v1/zones/${zone}/providers`)).body.items).toEqual([])
    token({ access_token: 't' })
    const made = await provider(zone, 'oauth2_client_credentials', {}, { check: true })
    expect([made.status, made.body.connectivity_failed_at]).toEqual([201, null])
  })

  test('27: an endpoint that refuses the placeholder code knows the client', async () => {
    const zone = await stage.zone()
    const { id } = await provider(zone, 'oauth2_authorization_code', consented())
    token({ error: 'invalid_grant' }, 400)
    const tried = await stage.send('POST', `/v1/zones/${zone}/providers/${id}/test`)
    expect(tried.body.status).toBe('ok')
    for (let n = 0; n < 9; n += 1) await stage.send('POST', `/v1/zones/${zone}/providers/${id}/test`)
    const limited = await stage.send('POST', `/v1/zones/${zone}/providers/${id}/test`)
    expect([limited.status, limited.body.error]).toEqual([429, 'provider_test_rate_limited'])
  })

  test('27: an issuer is read under its own name, and under no other', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/providers/discovery`
    const name = issuer.url('login')
    const discover = async (document: object) => {
      answer = ({ path: at }) =>
        at === '/.well-known/oauth-authorization-server' ? { body: document } : { status: 404, body: {} }
      return stage.send('POST', path, { issuer: name })
    }
    const found = await discover({
      issuer: name,
      token_endpoint: `${name}/token`,
      revocation_endpoint: 'http://plain.example/revoke',
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'tls_client_auth'],
    })
    expect([found.status, found.body]).toEqual([
      200,
      {
        issuer: name,
        token_endpoint: `${name}/token`,
        token_endpoint_auth_methods_supported: ['client_secret_basic'],
      },
    ])
    expect(asked.map((one) => one.path)).toEqual([
      '/.well-known/openid-configuration',
      '/.well-known/oauth-authorization-server',
    ])
    const foreign = await discover({ issuer: 'https://other.example', token_endpoint: `${name}/token` })
    expect([foreign.status, foreign.body.error]).toEqual([422, 'provider_discovery_failed'])
  })
})

describe('connecting an account (control-api §7.7)', () => {
  async function connectable(more: object = {}) {
    const zone = await stage.zone()
    const { id, status } = await provider(zone, 'oauth2_authorization_code', { ...consented(), ...more })
    expect(status).toBe(201)
    const path = `/v1/zones/${zone}/provider-connections`
    const begin = async () => {
      const begun = await stage.send('POST', `${path}/oauth/authorize`, {
        provider_id: id,
        subject_id: 'ada',
      })
      expect(begun.status).toBe(200)
      return { state: begun.body.state as string, url: new URL(begun.body.authorization_url) }
    }
    const callback = (state: string, query: string) =>
      stage.send('GET', `${path}/oauth/callback?state=${state}${query}`, undefined, { token: null })
    return { zone, id, path, begin, callback }
  }

  test('a code becomes a connection with both tokens sealed, and revoking it tells the issuer', async () => {
    const { zone, id, path, begin, callback } = await connectable()
    const { state, url } = await begin()
    token({ access_token: 'at-secret', refresh_token: 'rt-secret', token_type: 'Bearer', expires_in: 3600 })
    const made = await callback(state, '&code=the-code')
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({ zone_id: zone, provider_id: id, subject_id: 'ada', status: 'active' })
    expect(made.body.expires_at).not.toBeNull()
    expect(made.text).not.toContain('secret')
    const sent = Object.fromEntries(asked[0]?.form ?? [])
    expect(sent).toMatchObject({
      grant_type: 'authorization_code',
      code: 'the-code',
      redirect_uri: 'https://caracal.example/callback',
    })
    expect(
      createHash('sha256')
        .update(sent.code_verifier ?? '')
        .digest('base64url'),
    ).toBe(url.searchParams.get('code_challenge'))
    expect(url.searchParams.get('scope')).toBe('mail.read')
    const rows = await stage.database.admin`
      select 1 from provider_connections c where to_jsonb(c)::text like '%secret%'`
    expect(rows).toHaveLength(0)
    expect((await stage.send('GET', path)).body.items[0]).toMatchObject({ renewable: true })
    const revoked = await stage.send('POST', `${path}/revoke`, { provider_id: id, subject_id: 'ada' })
    expect(revoked.body).toMatchObject({ status: 'revoked', upstream_revocation: 'revoked' })
    expect(asked[1]?.path).toBe('/revoke')
    expect(Object.fromEntries(asked[1]?.form ?? [])).toMatchObject({
      token: 'rt-secret',
      token_type_hint: 'refresh_token',
    })
  })

  test('an issuer that cannot be told does not keep the connection alive', async () => {
    const { id, path, begin, callback } = await connectable()
    token({ access_token: 'at' })
    expect((await callback((await begin()).state, '&code=c')).status).toBe(201)
    token({}, 500)
    const revoked = await stage.send('POST', `${path}/revoke`, { provider_id: id, subject_id: 'ada' })
    expect(revoked.body).toMatchObject({ status: 'revoked', upstream_revocation: 'failed' })
  })

  test('each way a round trip ends without a connection has its code, and spends the state', async () => {
    const { path, begin, callback } = await connectable()
    const ends: readonly (readonly [object, number, string])[] = [
      [{ error: 'invalid_grant' }, 400, 'provider_token_exchange_failed'],
      [{ refresh_token: 'only' }, 200, 'provider_token_response_invalid'],
      [{ access_token: 'at', token_type: 'mac' }, 200, 'provider_token_type_unsupported'],
    ]
    for (const [members, status, error] of ends) {
      token(members, status)
      const { state } = await begin()
      const refused = await callback(state, '&code=c')
      expect(refused.status).toBeGreaterThanOrEqual(400)
      expect(refused.body.error).toBe(error)
      expect((await callback(state, '&code=c')).body.error).toBe('oauth_state_expired')
    }
    expect((await callback((await begin()).state, '')).body.error).toBe('authorization_code_required')
    expect((await stage.send('GET', path)).body.items).toEqual([])
  })

  test('a state of one zone is worth nothing in another', async () => {
    const [here, there] = [await connectable(), await connectable()]
    const { state } = await here.begin()
    expect((await there.callback(state, '&code=c')).body.error).toBe('oauth_state_mismatch')
  })

  test('a token endpoint outside the allowed hosts is not asked', async () => {
    const { id, begin, callback, zone } = await connectable()
    const { state } = await begin()
    await stage.database.admin`
      update providers set config_json = config_json || '{"allowed_token_hosts":["other.test.example"]}'
      where id = ${id} and zone_id = ${zone}`
    expect((await callback(state, '&code=c')).body.error).toBe('provider_token_endpoint_not_allowed')
    expect(asked).toEqual([])
  })
})

describe('the browser that comes back (gateway §23.3)', () => {
  test('sees a page whatever is wrong, and a program the code', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/provider-connections/oauth/callback`
    const back = (query: string, accept: string) =>
      stage.send('GET', `${path}?${query}`, undefined, { token: null, headers: { accept } })
    for (const [query, code] of [
      ['state=short&error_description=%3Cscript%3E', 'invalid_oauth_callback'],
      [`state=${'s'.repeat(43)}&code=c`, 'oauth_state_expired'],
    ] as const) {
      const page = await back(query, 'text/html,*/*')
      expect([page.status, page.headers.get('content-type')]).toEqual([400, 'text/html; charset=utf-8'])
      expect(page.text).toContain('Not connected')
      expect(page.text).not.toContain('<script>')
      expect((await back(query, 'application/json')).body.error).toBe(code)
    }
  })
})

describe('whether an upstream looks at mandates (control-api §7.8)', () => {
  test('a mandate nobody signed is refused, accepted, or answered with something else', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/resources`
    const own = await stage.send('POST', `/v1/zones/${zone}/providers`, {
      name: 'm',
      kind: 'caracal_mandate',
    })
    const upstream = {
      identifier: 'resource://up',
      scopes: ['up:read'],
      upstream_url: issuer.url('up'),
      credential_provider_id: own.body.id,
    }
    answer = () => ({ status: 204, body: '' })
    const open = await stage.send('POST', path, { ...upstream, check: true })
    expect(open.status).toBe(422)
    expect((await stage.send('GET', path)).body.items).toEqual([])
    const made = await stage.send('POST', path, upstream)
    expect(made.status).toBe(201)
    const probe = async (status: number) => {
      answer = () => ({ status, body: '' })
      const probed = await stage.send('POST', `${path}/${made.body.id}/test`)
      return [probed.status, probed.body.status]
    }
    expect(await probe(401)).toEqual([200, 'guarded'])
    expect(asked.at(-1)?.authorization).toMatch(/^Bearer ey/)
    expect(await probe(204)).toEqual([200, 'unverified'])
    expect(await probe(500)).toEqual([200, 'endpoint_error'])
    const gone = { upstream_url: 'https://gone.invalid' }
    expect((await stage.send('PATCH', `${path}/${made.body.id}`, gone)).status).toBe(200)
    expect(await probe(401)).toEqual([200, 'unreachable'])
    const none = await stage.send('POST', `/v1/zones/${zone}/providers`, { name: 'n', kind: 'none' })
    await stage.send('PATCH', `${path}/${made.body.id}`, { credential_provider_id: none.body.id })
    const unsupported = await stage.send('POST', `${path}/${made.body.id}/test`)
    expect([unsupported.status, unsupported.body.error]).toEqual([400, 'resource_verification_unsupported'])
  })
})
