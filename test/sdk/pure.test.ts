/** Routing, envelope and configuration of the SDK: what needs no server. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configFromEnv, configFromProfile } from '../../src/sdk/config/detect.ts'
import { decodeEnvelope, encodeEnvelope } from '../../src/sdk/envelope.ts'
import { climbs, gatewayUrlFor, routeToGateway } from '../../src/sdk/gateway-route.ts'
import { Authority, Caracal, CaracalError } from '../../src/sdk/index.ts'

describe('routing to the gateway', () => {
  const gateway = 'http://gw:8081/gateway'
  const bindings = [
    { resourceId: 'resource://openai', upstreamPrefix: 'https://api.openai.com/v1' },
    { resourceId: 'resource://all', upstreamPrefix: 'https://api.openai.com' },
  ]
  it.each([
    [
      'https://api.openai.com/v1/chat/completions?y=2',
      undefined,
      `${gateway}/chat/completions?y=2`,
      'resource://openai',
    ],
    ['https://api.openai.com/v10/chat', undefined, `${gateway}/v10/chat`, 'resource://all'],
    [`${gateway}/v1/models`, 'resource://x', `${gateway}/v1/models`, 'resource://x'],
    ['https://elsewhere.example/a', 'resource://x', `${gateway}/a`, 'resource://x'],
  ])('%s', (url, explicit, expected, resourceId) => {
    expect(routeToGateway(url, explicit, gateway, bindings)).toEqual({ url: expected, resourceId })
  })
  it.each(['https://elsewhere.example/a', 'https://api.openai.com/v1/%252e%252e/x', 'nonsense'])(
    'not %s',
    (url) => {
      expect(routeToGateway(url, undefined, gateway, bindings)).toBeNull()
    },
  )
  it('refuses paths that climb, however often they are encoded', () => {
    for (const path of ['/a/../b', '/a/%2e%2e/b', '/a/%252e%252e/b', '/a\\b', '/a/%5c..', '/./a']) {
      expect(climbs(path), path).toBe(true)
      expect(() => gatewayUrlFor(gateway, path), path).toThrow(TypeError)
    }
    expect(climbs('/a/..b/c%20d/100%')).toBe(false)
    expect(gatewayUrlFor(gateway, 'v1/models?a=/../')).toBe(`${gateway}/v1/models?a=/../`)
    expect(() => gatewayUrlFor(gateway, 'https://evil.example/')).toThrow(TypeError)
  })
})

describe('envelope', () => {
  it('writes what the context says, and nobody else', () => {
    const headers = new Headers({ baggage: 'b=2;p=1,caracal.agent_session=forged,a=%C3%A4' })
    encodeEnvelope(
      { sessionId: 's', delegationId: 'd e', hop: 2, traceId: 'a'.repeat(32), traceState: 'x=1' },
      headers,
    )
    expect(headers.get('baggage')).toBe(
      'a=%C3%A4,b=2,caracal.agent_session=s,caracal.delegation_edge=d%20e,caracal.hop=2',
    )
    expect(headers.get('traceparent')).toMatch(/^00-a{32}-[0-9a-f]{16}-01$/)
    expect(headers.get('tracestate')).toBe('x=1')
    expect(headers.has('authorization')).toBe(false)
    expect(decodeEnvelope(headers)).toMatchObject({
      sessionId: 's',
      delegationId: 'd e',
      hop: 2,
      baggage: { a: 'ä', b: '2' },
    })
  })
  it('keeps a valid traceparent and replaces an invalid one', () => {
    const good = `00-${'b'.repeat(32)}-${'c'.repeat(16)}-00`
    for (const bad of [
      '00-0',
      `ff-${'b'.repeat(32)}-${'c'.repeat(16)}-01`,
      `00-${'0'.repeat(32)}-${'c'.repeat(16)}-01`,
    ]) {
      const headers = new Headers({ traceparent: bad })
      encodeEnvelope({}, headers)
      expect(headers.get('traceparent')).not.toBe(bad)
      expect(headers.has('baggage')).toBe(false)
    }
    const headers = new Headers({ traceparent: good })
    encodeEnvelope({}, headers)
    expect(headers.get('traceparent')).toBe(good)
  })
  it('drops baggage that is too big, and caps the hop', () => {
    expect(decodeEnvelope({ baggage: `a=${'x'.repeat(8192)}` }).baggage).toEqual({})
    expect(
      decodeEnvelope({ baggage: Array.from({ length: 65 }, (_, at) => `k${at}=1`).join() }).baggage,
    ).toEqual({})
    expect(decodeEnvelope({ baggage: 'caracal.hop=99' }).hop).toBe(10)
    expect(decodeEnvelope({ baggage: 'caracal.hop=-1' }).hop).toBe(0)
    expect(decodeEnvelope({ baggage: ['a=1', 'b=%zz'], authorization: 'bearer   t' })).toMatchObject({
      baggage: { a: '1', b: '%zz' },
      bearer: 't',
    })
  })
})

describe('configuration', () => {
  let home: string
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'caracal-config-'))
  })
  afterAll(() => rmSync(home, { recursive: true, force: true }))
  const ids = { CARACAL_ZONE_ID: 'z', CARACAL_APPLICATION_ID: 'a' }

  it('names everything that is missing', () => {
    expect(() => configFromEnv({ CARACAL_CONFIG_HOME: home })).toThrow(
      /CARACAL_ZONE_ID, CARACAL_APPLICATION_ID, CARACAL_APP_CLIENT_SECRET/,
    )
  })

  it('merges resources, longest prefix first', () => {
    const { bindings } = configFromEnv({
      ...ids,
      CARACAL_CONFIG_HOME: home,
      CARACAL_APP_CLIENT_SECRET: 's',
      CARACAL_APP_RESOURCES: 'r1, r3',
      CARACAL_RESOURCES: 'r1=https://a.example,r2=https://a.example/long',
    })
    expect(bindings).toEqual([
      { resourceId: 'r2', upstreamPrefix: 'https://a.example/long' },
      { resourceId: 'r1', upstreamPrefix: 'https://a.example' },
      { resourceId: 'r3' },
    ])
    const wrong = { ...ids, CARACAL_APP_CLIENT_SECRET: 's', CARACAL_RESOURCES: 'r1=nope,=x' }
    expect(() => configFromEnv(wrong)).toThrow(/r1.*=x|=x.*r1/)
  })

  it('production wants https service URLs', () => {
    const env = { ...ids, CARACAL_APP_CLIENT_SECRET: 's', CARACAL_ENV: 'production' }
    expect(() => configFromEnv(env)).toThrow(/CARACAL_STS_URL.*CARACAL_COORDINATOR_URL.*CARACAL_GATEWAY_URL/)
    const urls = { CARACAL_STS_URL: 'https://s', CARACAL_COORDINATOR_URL: 'http://127.0.0.1:4000' }
    expect(() => configFromEnv({ ...env, ...urls, CARACAL_GATEWAY_URL: 'http://gw' })).toThrow(
      'https in production',
    )
    expect(configFromEnv({ ...env, ...urls, CARACAL_GATEWAY_URL: 'https://gw' }).gatewayUrl).toBe(
      'https://gw',
    )
  })

  it('refuses secrets that others can read, and tokens that cannot work', () => {
    const file = join(home, 'secret')
    writeFileSync(file, 's', { mode: 0o644 })
    chmodSync(file, 0o644)
    expect(() => configFromEnv({ ...ids, CARACAL_APP_CLIENT_SECRET_FILE: file })).toThrow('chmod 600')
    const both = { ...ids, CARACAL_APP_CLIENT_SECRET_FILE: file, CARACAL_APP_CLIENT_SECRET: 's' }
    expect(() => configFromEnv(both)).toThrow('not both')
    const jwt = (header: object, claims: object) =>
      `${[header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.x`
    const token = (text: string) => ({ ...ids, CARACAL_CONFIG_HOME: home, CARACAL_BOOTSTRAP_TOKEN: text })
    expect(() => configFromEnv(token(jwt({ alg: 'none' }, {})))).toThrow('not signed')
    expect(() => configFromEnv(token(jwt({ alg: 'ES256' }, { exp: 1 })))).toThrow('expired')
    expect(configFromEnv(token('opaque')).credential).toEqual({ kind: 'token', token: 'opaque' })
  })

  it('finds what guided setup left, in development only', () => {
    const directory = join(home, 'runtime', 'z', 'a')
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, 'client-secret'), 'found', { mode: 0o600 })
    writeFileSync(join(directory, 'credentials.json'), '{"credentials":[{"resource":"r"}]}')
    const env = { ...ids, CARACAL_CONFIG_HOME: home }
    expect(configFromEnv(env)).toMatchObject({
      credential: { clientSecret: 'found' },
      bindings: [{ resourceId: 'r' }],
    })
    expect(() => configFromEnv({ ...env, CARACAL_ENV: 'production' })).toThrow()
  })

  it('reads a profile', () => {
    const path = join(home, 'caracal.toml')
    writeFileSync(
      path,
      'zone_id = "pz"\napplication_id = "pa"\napp_client_secret = "ps"\ndefault_ttl_seconds = 60\n[[credentials]]\nresource = "r"\nupstream_prefix = "https://r.example"\n',
      { mode: 0o600 },
    )
    expect(configFromProfile(path, {})).toMatchObject({
      zoneId: 'pz',
      stsUrl: 'http://localhost:8080',
      defaultTtlSeconds: 60,
      bindings: [{ resourceId: 'r', upstreamPrefix: 'https://r.example' }],
    })
    chmodSync(path, 0o666)
    expect(() => configFromProfile(path, {})).toThrow('changed by others')
    expect(() => new Caracal({ env: { CARACAL_CONFIG: join(home, 'gone.toml') } })).toThrow('does not exist')
  })
})

describe('small rules', () => {
  it('narrow takes one scope or many, and a real time', () => {
    expect(Authority.narrow('a', { ttlSeconds: 1 })).toMatchObject({ scopes: ['a'] })
    expect(() => Authority.narrow('a', { ttlSeconds: 0 })).toThrow(TypeError)
    expect(() => Authority.narrow('a', undefined as never)).toThrow(TypeError)
  })

  it('errors say whether trying again may help', () => {
    expect(new CaracalError('sts_unavailable', '').isRetryable).toBe(true)
    expect(new CaracalError('access_denied', '', { httpStatus: 403 }).isRetryable).toBe(false)
    expect(new CaracalError('x', '', { httpStatus: 429 }).isRetryable).toBe(true)
    expect(new CaracalError('x', 'why', { requestId: 'r' }).toJSON()).toEqual({
      error: 'x',
      error_description: 'why',
      requestId: 'r',
    })
  })

  it('inbound requests need a verifier in production, and a context to go out with', async () => {
    const config = {
      coordinator: { baseUrl: 'http://c' },
      zoneId: 'z',
      applicationId: 'a',
      subjectToken: 't',
    }
    const strict = new Caracal({ ...config, production: true })
    const headers = { authorization: 'Bearer inbound', baggage: 'caracal.agent_session=forged' }
    await expect(strict.bindFromHeaders(headers, () => null)).rejects.toThrow('verifier')
    const verify = () => ({ zoneId: 'z', applicationId: 'b', hop: 1, sessionId: 'real' })
    expect(await strict.bindFromHeaders(headers, ({ sessionId }) => sessionId, { verify })).toBe('real')
    expect(
      await strict.bindFromHeaders(headers, () => strict.headers().authorization, {
        trustedPropagation: true,
      }),
    ).toBe('Bearer inbound')
    await expect(strict.bindFromHeaders({}, () => null)).rejects.toThrow('bearer')
    await expect(strict.transport()('http://x/')).rejects.toThrow('no Caracal context')
    expect(() => new Caracal({ ...config, tokenSource: () => 't' })).toThrow('exactly one')
    await strict.close()
    expect(() => strict.headers()).toThrow('closed')
  })
})
