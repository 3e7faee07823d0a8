/** Steps 1–13a over a real socket: status, code and sentence of every denial, and that none of them dials. */
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { traverses } from '../../../src/roles/gateway/proxy/path.ts'
import { type Answer, openStage, type Stage, startUpstream, type Upstream } from './stage.ts'
import { makeKey } from './zone-sts.ts'

let stage: Stage
let upstream: Upstream

beforeAll(async () => {
  stage = await openStage()
  upstream = await startUpstream()
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})
beforeEach(() => {
  stage.route(upstream.url)
  upstream.seen.length = 0
  stage.sts.exchanges.length = 0
})

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function expectDenial(answer: Answer, status: number, error: string, description: string): void {
  expect(answer.status).toBe(status)
  expect(answer.headers['content-type']).toBe('application/json')
  expect(answer.json()).toEqual({
    error,
    error_description: description,
    requestId: answer.headers['x-request-id'],
  })
  expect(upstream.seen).toHaveLength(0)
}

describe('bearer', () => {
  it('401-missing without authorization or with another scheme', async () => {
    expectDenial(await stage.call({ mandate: null }), 401, 'invalid_token', 'missing bearer token')
    for (const value of ['Basic abc', 'Bearer', 'Bearer ', 'Bearer    ', 'Bearerx abc']) {
      const answer = await stage.call({ mandate: null, headers: { authorization: value } })
      expectDenial(answer, 401, 'invalid_token', 'missing bearer token')
    }
  })

  it('accepts the scheme in any case and trims', async () => {
    const answer = await stage.call({
      mandate: null,
      headers: { authorization: `bEaReR   ${stage.sts.mint()}  ` },
    })
    expect(answer.status).toBe(200)
  })

  it('401-too-large from 8,193 characters, malformed at 8,192', async () => {
    const large = await stage.call({ mandate: 'a'.repeat(8193) })
    expectDenial(large, 401, 'invalid_token', 'bearer token too large')
    const malformed = await stage.call({ mandate: 'a'.repeat(8192) })
    expectDenial(malformed, 401, 'invalid_token', 'malformed bearer token')
  })

  it.each([
    ['two parts', 'a.b'],
    ['four parts', 'a.b.c.d'],
    ['payload not base64url', `${encode({})}.%%%.c`],
    ['payload not JSON', `${encode({})}.${Buffer.from('nope').toString('base64url')}.c`],
    ['payload an array', `${encode({})}.${encode([1])}.c`],
    ['no exp', `${encode({})}.${encode({ zone_id: 'z' })}.c`],
    ['exp zero', `${encode({})}.${encode({ exp: 0 })}.c`],
    ['exp text', `${encode({})}.${encode({ exp: '12' })}.c`],
    ['exp fraction', `${encode({})}.${encode({ exp: 1.5 })}.c`],
  ])('401-malformed: %s', async (_name, mandate) => {
    const answer = await stage.call({ mandate })
    expectDenial(answer, 401, 'invalid_token', 'malformed bearer token')
    expect(stage.sts.exchanges).toHaveLength(0)
  })

  it('401-expiring below 35 s, proceeds above', async () => {
    const now = Math.floor(Date.now() / 1000)
    expectDenial(
      await stage.call({ mandate: stage.sts.mint({ exp: now + 34 }) }),
      401,
      'credential_expired_not_renewable',
      'credential expiring within pre-flight window',
    )
    expect((await stage.call({ mandate: stage.sts.mint({ exp: now + 40 }) })).status).toBe(200)
  })
})

describe('routing', () => {
  it('400 when the client names itself', async () => {
    const answer = await stage.call({ headers: { 'x-caracal-client-id': 'a' } })
    expectDenial(answer, 400, 'invalid_token', 'client identity derives from the bearer token')
  })

  it('400 without a resource', async () => {
    for (const named of [null, '', '   ']) {
      expectDenial(await stage.call({ resource: named }), 400, 'invalid_token', 'missing routing headers')
    }
  })

  it('takes the first of repeated resource headers', async () => {
    const answer = await stage.call({
      resource: null,
      headers: { 'x-caracal-resource': ['resource://demo', 'resource://other'] },
    })
    expect(answer.status).toBe(200)
    expect(stage.sts.exchanges[0]?.resource).toBe('resource://demo')
  })

  it('reads the resource header as UTF-8', async () => {
    const identifier = 'resource://à 日本'
    stage.route(upstream.url, {}, identifier)
    const answer = await stage.call({ resource: Buffer.from(identifier).toString('latin1') })
    expect(answer.status).toBe(200)
    expect(stage.sts.exchanges[0]?.resource).toBe(identifier)
  })

  it('401 without a usable zone or client claim', async () => {
    for (const zone of [undefined, 'z one!', '', 7, 'z'.repeat(129)]) {
      const answer = await stage.call({ mandate: stage.sts.mint({ zone_id: zone }) })
      expectDenial(answer, 401, 'invalid_token', 'missing token zone')
    }
    for (const client of [undefined, 'a/b', null]) {
      const answer = await stage.call({ mandate: stage.sts.mint({ client_id: client }) })
      expectDenial(answer, 401, 'invalid_token', 'missing token client')
    }
  })
})

describe('path', () => {
  it.each([
    '/v1/../admin',
    '/a/./b',
    '/..',
    '/..;/admin',
    '/a/..;x=1/b',
    '/%2e%2e%3b/x',
    '/%2e%2e/x',
    '/%252e%252e/x',
    '/a\\..\\s',
    '/a/%255c..%255cs',
    '/a%5cb',
    '/a%zz',
    '/100%25',
    '/%ff',
  ])('400-traversal: %s', async (path) => {
    expectDenial(await stage.call({ path }), 400, 'invalid_token', 'path traversal not permitted')
  })

  it('400-traversal: escapes of escapes, at no greater cost', async () => {
    const path = `/%${'25'.repeat(20)}41`
    expectDenial(await stage.call({ path }), 400, 'invalid_token', 'path traversal not permitted')
    const began = performance.now()
    expect(traverses(`/%${'25'.repeat(100_000)}41`)).toBe(true)
    // One pass for each escape would take minutes.
    expect(performance.now() - began).toBeLessThan(1000)
  })

  it.each(['/.env', '/foo..bar', '//x', '/a%20b', '/...', '/a;b=..'])('proxied: %s', async (path) => {
    const answer = await stage.call({ path })
    expect(answer.status).toBe(200)
    expect(answer.json().url).toBe(path)
  })
})

describe('signature', () => {
  it('401 for what the zone did not sign', async () => {
    const good = stage.sts.mint()
    const [header, payload, mac] = good.split('.') as [string, string, string]
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
    const altered = `${header}.${encode({ ...claims, client_id: 'app-2' })}.${mac}`
    const input = (alg: string, extra = {}): string => `${encode({ alg, ...extra })}.${payload}`
    const kid = stage.sts.keys[0]?.kid
    const hs256 = `${input('HS256', { kid })}`
    const cases: Record<string, string> = {
      altered,
      none: `${input('none', { kid })}.`,
      hs256: `${hs256}.${createHmac('sha256', 'k').update(hs256).digest('base64url')}`,
      rs256: `${input('RS256', { kid })}.${mac}`,
      'no kid': `${input('ES256')}.${mac}`,
      'short signature': `${header}.${payload}.${Buffer.alloc(63, 1).toString('base64url')}`,
      'foreign key of the same id': stage.sts.mint({}, makeKey(kid)),
      'unknown key': stage.sts.mint({}, makeKey()),
      'unknown zone': stage.sts.mint({ zone_id: 'zone-2' }),
    }
    for (const [name, mandate] of Object.entries(cases)) {
      const answer = await stage.call({ mandate })
      expect([name, answer.status, answer.json().error_description]).toEqual([
        name,
        401,
        'bearer signature invalid',
      ])
    }
    expect(upstream.seen).toHaveLength(0)
    expect(stage.sts.exchanges).toHaveLength(0)
  })

  it('401 for a mandate made for another use, without burning it', async () => {
    const mandate = stage.sts.mint({ use: 'resource', jti: 'burn-me-not' })
    expectDenial(await stage.call({ mandate }), 401, 'invalid_token', 'invalid subject_token')
    expect(await stage.ephemera.get('seen:jti:burn-me-not')).toBeNull()
  })
})

describe('one use', () => {
  it('401 on the second presentation, with evidence', async () => {
    const mandate = stage.sts.mint({ jti: 'used-once', agent_session_id: 's-1', delegation_edge_id: 'e-1' })
    expect((await stage.call({ mandate })).status).toBe(200)
    upstream.seen.length = 0
    const again = await stage.call({ mandate, headers: { 'x-request-id': 'second-use' } })
    expectDenial(again, 401, 'invalid_token', 'token replay detected')
    const [event] = await stage.evidence('second-use', 'replay_detected')
    expect(event).toMatchObject({
      zone_id: 'zone-1',
      decision: 'deny',
      evaluation_status: 'anomaly',
      determining_policies_json: [],
      diagnostics_json: [],
      metadata_json: {
        jti: 'used-once',
        resource: 'resource://demo',
        client_id: 'app-1',
        request_id: 'second-use',
        agent_session_id: 's-1',
        delegation_edge_id: 'e-1',
      },
    })
    expect(event?.metadata_json?.subject_fp).toMatch(/^[0-9a-f]{16}$/)
    expect(stage.sts.exchanges).toHaveLength(1)
  })

  it('lets exactly one of twenty concurrent presentations pass', async () => {
    const mandate = stage.sts.mint()
    const answers = await Promise.all(Array.from({ length: 20 }, () => stage.call({ mandate })))
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
    expect(upstream.seen).toHaveLength(1)
  })

  it('401 without jti, and without an integer iat', async () => {
    const anonymous = await stage.call({ mandate: stage.sts.mint({ jti: undefined }) })
    expectDenial(anonymous, 401, 'invalid_token', 'token replay detected')
    const timeless = await stage.call({ mandate: stage.sts.mint({ iat: undefined }) })
    expectDenial(timeless, 401, 'invalid_token', 'mandate predates replay memory')
  })

  it('401 for a mandate older than the replay memory', async () => {
    const hourAgo = Math.floor(Date.now() / 1000) - 3600
    const answer = await stage.call({ mandate: stage.sts.mint({ iat: hourAgo }) })
    expectDenial(answer, 401, 'invalid_token', 'mandate predates replay memory')
  })
})

describe('body', () => {
  it('413 for a declared body over the limit, before the exchange', async () => {
    const answer = await stage
      .call({
        method: 'POST',
        headers: { 'content-length': String(10_485_761) },
        body: 'x',
        signal: AbortSignal.timeout(3000),
      })
      .catch((error: Error) => error)
    if (!(answer instanceof Error)) {
      expectDenial(answer, 413, 'payload_too_large', 'request body too large')
    }
    expect(stage.sts.exchanges).toHaveLength(0)
  })
})

describe('request id', () => {
  it('keeps 1–128 visible characters, replaces anything else by a UUIDv4', async () => {
    const kept = await stage.call({ headers: { 'x-request-id': 'customer_request_42' } })
    expect(kept.headers['x-request-id']).toBe('customer_request_42')
    expect(upstream.seen[0]?.headers['x-request-id']).toBe('customer_request_42')
    for (const id of ['a'.repeat(129), 'a b', 'a\tb']) {
      const answer = await stage.call({ headers: { 'x-request-id': id } })
      expect(answer.headers['x-request-id']).toMatch(
        /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      )
    }
  })
})
