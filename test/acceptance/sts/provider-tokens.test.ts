import { generateKeyPairSync } from 'node:crypto'
import { importSPKI, jwtVerify } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { columnAad } from '../../../src/platform/crypto/secret-store.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import type { StsRole } from '../../../src/roles/sts/index.ts'
import { createTlsServer, type TlsAnswer, type TlsServer } from '../../fixtures/tls-server.ts'
import { seedProvider } from '../../fixtures/zone.ts'
import {
  auditEvent,
  createWorld,
  gatewayExchange,
  mintGatewayMandate,
  type World,
} from '../../roles/sts/world.ts'

interface TokenCall {
  readonly form: URLSearchParams
  readonly authorization: string | undefined
}

let world: World
let replica: StsRole
let upstream: TlsServer
let calls: TokenCall[] = []
let answer: (call: TokenCall) => TlsAnswer | Promise<TlsAnswer> = () => ({ body: {} })

beforeAll(async () => {
  upstream = await createTlsServer((request, body) => {
    const call = { form: new URLSearchParams(body), authorization: request.headers.authorization }
    calls.push(call)
    return answer(call)
  })
  world = await createWorld({}, upstream.egress)
  replica = await world.replica()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})
beforeEach(() => {
  calls = []
})

async function bind(
  kind: string,
  config: Readonly<Record<string, unknown>>,
  secrets: Readonly<Record<string, string>>,
): Promise<string> {
  const providerId = await seedProvider(world.db, world.zone.zoneId, {
    kind,
    config: {
      token_endpoint: `${upstream.url('login')}/token`,
      client_id: 'client',
      allowed_token_hosts: ['Login.test.example'],
      ...config,
    },
    secrets,
    cipher: world.cipher,
  })
  await world.db.sql`
    update resources set credential_provider_id = ${providerId} where id = ${world.zone.resource.id}`
  return providerId
}

async function exchange(sts: StsRole = world.sts, requestId: string = crypto.randomUUID()) {
  const { mandate } = await mintGatewayMandate(world)
  return gatewayExchange({ ...world, sts }, mandate, { requestId })
}
const directiveOf = (body: { upstreams: Record<string, Record<string, unknown>> }) =>
  body.upstreams['resource://nucleus']

describe('service tokens (sts §10.4)', () => {
  test('client credentials with Basic, fetched once, kept, refetched after a change', async () => {
    let issued = 0
    answer = () => {
      issued += 1
      return { body: { access_token: `svc-${issued}`, token_type: 'Bearer', expires_in: 600 } }
    }
    const providerId = await bind(
      'oauth2_client_credentials',
      { scopes: ['a', 'b'], audience: 'aud', token_params: { tenant: 't' } },
      { client_secret: 'sec:ret' },
    )
    // Each replica keeps one.
    const [one = world.sts] = world.each
    const answers = await Promise.all([exchange(one), exchange(one), exchange(one)])
    expect(answers.map((one) => directiveOf(one.body)?.provider_token)).toEqual(['svc-1', 'svc-1', 'svc-1'])
    expect(directiveOf(answers[0].body)).toEqual({
      url: 'https://nucleus.example',
      provider_id: providerId,
      auth_mode: 'provider_oauth',
      auth_header: 'Authorization',
      auth_scheme: 'Bearer',
      provider_token: 'svc-1',
    })
    expect(calls).toHaveLength(1)
    expect(calls[0]?.authorization).toBe(`Basic ${Buffer.from('client:sec:ret').toString('base64')}`)
    expect(Object.fromEntries(calls[0]?.form ?? [])).toEqual({
      grant_type: 'client_credentials',
      scope: 'a b',
      audience: 'aud',
      tenant: 't',
    })
    await world.db.sql`
      update providers set config_json = config_json || '{"audience":"other"}' where id = ${providerId}`
    expect(directiveOf((await exchange(one)).body)?.provider_token).toBe('svc-2')
  })

  test('fifty at once cost one call, and a token is not kept into its last half minute', async () => {
    let issued = 0
    let lifetime = 3600
    answer = async () => {
      issued += 1
      const token = `kept-${issued}`
      await new Promise((resolve) => setTimeout(resolve, 50))
      return { body: { access_token: token, token_type: 'Bearer', expires_in: lifetime } }
    }
    await bind('oauth2_client_credentials', { audience: 'fifty' }, { client_secret: 's' })
    // Each replica keeps one.
    const [one = world.sts] = world.each
    const many = await Promise.all(Array.from({ length: 50 }, () => exchange(one)))
    expect(new Set(many.map(({ body }) => directiveOf(body)?.provider_token))).toEqual(new Set(['kept-1']))
    expect(calls).toHaveLength(1)

    lifetime = 20
    await bind('oauth2_client_credentials', { audience: 'short' }, { client_secret: 's' })
    expect(directiveOf((await exchange()).body)?.provider_token).toBe('kept-2')
    expect(directiveOf((await exchange()).body)?.provider_token).toBe('kept-3')
  })

  test('private_key_jwt and jwt_bearer assertions', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp384r1' })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    const spki = await importSPKI(publicKey.export({ type: 'spki', format: 'pem' }) as string, 'ES384')
    answer = () => ({ body: { access_token: 'asserted', expires_in: 60 } })
    await bind(
      'oauth2_client_credentials',
      { client_auth_method: 'private_key_jwt', key_id: 'k1' },
      { private_key: pem },
    )
    expect(directiveOf((await exchange()).body)?.provider_token).toBe('asserted')
    const proof = await jwtVerify(calls[0]?.form.get('client_assertion') ?? '', spki, {
      issuer: 'client',
      subject: 'client',
      audience: `${upstream.url('login')}/token`,
    })
    expect(proof.protectedHeader).toMatchObject({ alg: 'ES384', kid: 'k1' })
    expect((proof.payload.exp ?? 0) - (proof.payload.iat ?? 0)).toBe(60)

    await bind(
      'oauth2_client_credentials',
      {
        grant_type: 'jwt_bearer',
        scopes: ['s'],
        assertion_subject: 'joe',
        assertion_audience: 'https://aud/',
      },
      { private_key: pem },
    )
    await exchange()
    const grant = calls.at(-1)?.form
    expect(grant?.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer')
    const assertion = await jwtVerify(grant?.get('assertion') ?? '', spki, {
      issuer: 'client',
      subject: 'joe',
      audience: 'https://aud/',
    })
    expect(assertion.payload).toMatchObject({ scope: 's' })
    expect((assertion.payload.exp ?? 0) - (assertion.payload.iat ?? 0)).toBe(300)
  })

  test.each([
    ['an error', { status: 400, body: { error: 'invalid_client' } }],
    ['no token', { body: {} }],
    ['a token that is no bearer', { body: { access_token: 'x', token_type: 'mac' } }],
  ])('%s is 502 after two attempts, and never shows a secret', async (_, given) => {
    answer = () => given
    await bind('oauth2_client_credentials', {}, { client_secret: 'hidden-value' })
    const refused = await exchange()
    expect([refused.status, refused.body.error]).toEqual([502, 'http_request_failed'])
    expect(JSON.stringify(refused.body)).not.toContain('hidden-value')
    expect(calls).toHaveLength(2)
  })

  test('five failures open the circuit for everybody', async () => {
    answer = () => ({ status: 500, body: {} })
    await bind('oauth2_client_credentials', {}, { client_secret: 's' })
    for (let round = 0; round < 5; round++) expect((await exchange()).status).toBe(502)
    const before = calls.length
    expect((await exchange()).status).toBe(502)
    expect((await exchange(replica)).status).toBe(502)
    expect(calls.length).toBe(before)
  })

  test('only listed hosts and public addresses are called', async () => {
    answer = () => ({ body: { access_token: 'x' } })
    for (const config of [
      { allowed_token_hosts: ['other.test.example'] },
      { allowed_token_hosts: [] },
      { token_endpoint: 'https://127.0.0.1/token', allowed_token_hosts: ['127.0.0.1'] },
      { token_endpoint: 'http://login.test.example/token' },
      { token_params: { client_secret: 'smuggled' } },
    ]) {
      await bind('oauth2_client_credentials', config, { client_secret: 's' })
      expect((await exchange()).status).toBe(502)
    }
    expect(calls).toHaveLength(0)
  })
})

describe('user connections (sts §10.5)', () => {
  async function connect(
    providerId: string,
    options: { subject?: string; access?: string; refresh?: string | null; expiresIn?: number | null } = {},
  ): Promise<string> {
    const id = uuidv7()
    const seal = (value: string, aad: string) => world.cipher.seal(Buffer.from(value), aad)
    const refresh = options.refresh === undefined ? 'refresh-1' : options.refresh
    const expiresIn = options.expiresIn === undefined ? 600 : options.expiresIn
    await world.db.sql`
      insert into provider_connections
        (id, zone_id, subject_id, provider_id, status, access_token_ct, refresh_token_ct, expires_at)
      values (${id}, ${world.zone.zoneId}, ${options.subject ?? world.zone.application.id}, ${providerId}, 'active',
              ${seal(options.access ?? 'access-1', columnAad.connectionAccessToken)},
              ${refresh === null ? null : seal(refresh, columnAad.connectionRefreshToken)},
              now() + make_interval(secs => ${expiresIn}::float8))`
    return id
  }
  const provider = () => bind('oauth2_authorization_code', {}, { client_secret: 's' })

  test('the own connection before the shared one', async () => {
    const providerId = await provider()
    const missing = await exchange(world.sts, 'no-connection')
    expect([missing.status, missing.body.error]).toEqual([403, 'access_denied'])
    expect(
      (await auditEvent(world, 'no-connection', 'credential_not_provisioned')).metadata_json.reason,
    ).toBe('no_provider_connection')
    await connect(providerId, { subject: 'caracal:shared', access: 'shared' })
    expect(directiveOf((await exchange()).body)?.provider_token).toBe('shared')
    const own = await connect(providerId, { access: 'own', expiresIn: null, refresh: null })
    expect(directiveOf((await exchange()).body)).toMatchObject({
      provider_token: 'own',
      connection_id: own,
      auth_mode: 'provider_oauth',
    })
  })

  test('a token about to end is refreshed once, by one replica', async () => {
    const providerId = await provider()
    const id = await connect(providerId, { expiresIn: 10 })
    answer = async () => {
      await new Promise((resolve) => setTimeout(resolve, 100))
      return { body: { access_token: 'access-2', refresh_token: 'refresh-2', expires_in: 600 } }
    }
    const answers = await Promise.all([exchange(), exchange(replica), exchange(), exchange(replica)])
    expect(answers.map((one) => directiveOf(one.body)?.provider_token)).toEqual(Array(4).fill('access-2'))
    expect(calls).toHaveLength(1)
    expect(Object.fromEntries(calls[0]?.form ?? [])).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-1',
    })
    const [row] = await world.db.sql<{ version: number; refresh: Buffer }[]>`
      select refresh_token_version as version, refresh_token_ct as refresh
      from provider_connections where id = ${id}`
    expect(row?.version).toBe(1)
    expect(world.cipher.open(row?.refresh as Buffer, columnAad.connectionRefreshToken).toString()).toBe(
      'refresh-2',
    )
  })

  test('without a new refresh token the old one is kept', async () => {
    const providerId = await provider()
    const id = await connect(providerId, { expiresIn: -5 })
    answer = () => ({ body: { access_token: 'access-2' } })
    expect(directiveOf((await exchange()).body)?.provider_token).toBe('access-2')
    const [row] = await world.db.sql<{ refresh: Buffer }[]>`
      select refresh_token_ct as refresh from provider_connections where id = ${id}`
    expect(world.cipher.open(row?.refresh as Buffer, columnAad.connectionRefreshToken).toString()).toBe(
      'refresh-1',
    )
  })

  test.each([
    ['access', 600],
    ['refresh', 10],
  ])('what this service cannot open is its own failure: %s token', async (kind, expiresIn) => {
    const id = await connect(await provider(), { expiresIn })
    await world.db.sql`
      update provider_connections set ${world.db.sql(`${kind}_token_ct`)} = ${Buffer.alloc(80)} where id = ${id}`
    const refused = await exchange(world.sts, `unreadable-${kind}`)
    expect([refused.status, refused.body.error]).toEqual([503, 'sts_unavailable'])
    const event = await auditEvent(world, `unreadable-${kind}`, 'credential_refresh_failed')
    expect(event.metadata_json.reason).toBe('sts_unavailable')
    expect(calls).toHaveLength(0)
  })

  test('what cannot be renewed says so', async () => {
    const providerId = await provider()
    const ended = await connect(providerId, { refresh: null, expiresIn: -1 })
    const gone = await exchange()
    expect([gone.status, gone.body.error]).toEqual([403, 'credential_expired_not_renewable'])
    const [row] = await world.db.sql<{ status: string }[]>`
      select status from provider_connections where id = ${ended}`
    expect(row?.status).toBe('expired')
    await connect(providerId, { expiresIn: -1 })
    answer = () => ({ status: 400, body: { error: 'invalid_grant' } })
    const refused = await exchange(world.sts, 'refresh-failed')
    expect([refused.status, refused.body.error]).toEqual([403, 'credential_expired_not_renewable'])
    await auditEvent(world, 'refresh-failed', 'credential_refresh_failed')
  })
})
