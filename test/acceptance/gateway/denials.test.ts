/** gateway, acceptance checks 1–14, 16, 18, 21 and 25: each denial, and that nothing was dialled. */

import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseCompact } from '../../../src/platform/jose/compact.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { seam } from '../../fixtures/seam.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import type { Answer, CallOptions } from '../../roles/gateway/stage.ts'
import { makeKey } from '../../roles/gateway/zone-sts.ts'
import { openScene, type Scene } from './scene.ts'

let scene: Scene
let ahead = 0
beforeAll(async () => {
  scene = await openScene(
    'inproc',
    { MAX_REQUEST_BYTES: 16, METRICS_BEARER: 'scrape' },
    inOneProcess ? { clock: () => performance.now() + ahead } : {},
  )
})
afterAll(() => scene[Symbol.asyncDispose]())
beforeEach(async () => {
  scene.upstream.seen.length = 0
})

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** The gateway's own error, complete, with nothing dialled. */
function expectDenied(answer: Answer, status: number, error: string, description: string | RegExp): void {
  const body = answer.json()
  expect(answer.status).toBe(status)
  expect(Object.keys(body).sort()).toEqual(['error', 'error_description', 'requestId'])
  expect(body.error).toBe(error)
  if (typeof description === 'string') expect(body.error_description).toBe(description)
  else expect(body.error_description).toMatch(description)
  expect(answer.headers['content-type']).toBe('application/json')
  expect(answer.headers['x-request-id']).toBe(body.requestId)
  expect(scene.upstream.seen).toHaveLength(0)
}
const denied = async (options: CallOptions, status: number, error: string, description: string | RegExp) =>
  expectDenied(await scene.call(options), status, error, description)

/** A token of the right shape with chosen claims, signed by a key nobody knows. */
const forged = (claims: Record<string, unknown>): string =>
  makeKey().signer.sign({ exp: Math.floor(Date.now() / 1000) + 300, zone_id: 'z', client_id: 'a', ...claims })

describe('gateway: surface and request id', () => {
  test('1: health and readiness', async () => {
    const health = await fetch(`${scene.stage.url}/health`)
    expect([health.status, await health.text()]).toEqual([200, ''])
    const ready = await fetch(`${scene.stage.url}/ready`)
    expect([ready.status, await ready.json()]).toEqual([200, { ok: true, ready: true }])
  })

  test('2: metrics need the bearer', async () => {
    for (const headers of [{}, { authorization: 'Bearer wrong' }]) {
      const refused = await fetch(`${scene.stage.url}/metrics`, { headers })
      expect([refused.status, await refused.text()]).toEqual([401, 'unauthorized'])
    }
    const scraped = await fetch(`${scene.stage.url}/metrics`, { headers: { authorization: 'Bearer scrape' } })
    expect(scraped.status).toBe(200)
    expect((await scraped.text()).startsWith('# HELP caracal_gateway_requests_total ')).toBe(true)
  })

  test('3: the reload route exists only for the administrator', async () => {
    const reload = (headers: Record<string, string>) =>
      fetch(`${scene.stage.url}/internal/revocations/reload`, { method: 'POST', headers })
    expect((await reload({})).status).toBe(404)
    expect((await reload({ authorization: 'Bearer wrong' })).status).toBe(404)
    const done = await reload({ authorization: `Bearer ${scene.stage.settings.CARACAL_ADMIN_TOKEN}` })
    expect(done.status).toBe(200)
    expect(await done.json()).toMatchObject({ ok: true })
  })

  test('4: the request id is kept or replaced', async () => {
    const kept = await scene.call({ headers: { 'x-request-id': 'customer_request_42' } })
    expect(kept.headers['x-request-id']).toBe('customer_request_42')
    expect(scene.upstream.seen[0]?.headers['x-request-id']).toBe('customer_request_42')
    for (const id of ['x'.repeat(129), 'a b']) {
      const replaced = await scene.call({ headers: { 'x-request-id': id } })
      expect(replaced.headers['x-request-id']).toMatch(/^[0-9a-f-]{14}4[0-9a-f-]{21}$/)
    }
  })
})

describe('gateway: pipeline denials', () => {
  test('5: a bearer must be there', async () => {
    const asked = async (given: Parameters<typeof scene.call>[0]) =>
      (await scene.call(given)).headers['www-authenticate']
    expect(await asked({ mandate: null })).toBe('Bearer realm="caracal-gateway"')
    expect(await asked({ mandate: 'a.b.c' })).toBe('Bearer realm="caracal-gateway", error="invalid_token"')
    await denied({ mandate: null }, 401, 'invalid_token', 'missing bearer token')
    const basic = { mandate: null, headers: { authorization: 'Basic abc' } }
    await denied(basic, 401, 'invalid_token', 'missing bearer token')
    const lower = await scene.call({
      mandate: null,
      headers: { authorization: `bearer ${await scene.mint()}` },
    })
    expect(lower.status).toBe(200)
  })

  test('6: 8,192 characters at most', async () => {
    await denied({ mandate: 'x'.repeat(8193) }, 401, 'invalid_token', 'bearer token too large')
    await denied({ mandate: 'x'.repeat(8192) }, 401, 'invalid_token', 'malformed bearer token')
  })

  test('7: the shape of a mandate', async () => {
    for (const mandate of ['a.b', 'a.b.c.d', 'a.!.c', `a.${encode({})}.c`]) {
      await denied({ mandate }, 401, 'invalid_token', 'malformed bearer token')
    }
  })

  test('8: 35 s of life', async () => {
    const exp = Math.floor(Date.now() / 1000) + 34
    const sentence = 'credential expiring within pre-flight window'
    await denied({ mandate: forged({ exp }) }, 401, 'credential_expired_not_renewable', sentence)
    await denied({ mandate: forged({ exp: exp + 6 }) }, 401, 'invalid_token', 'bearer signature invalid')
  })

  test('9, 10, 11: routing', async () => {
    await denied(
      { headers: { 'x-caracal-client-id': 'a' } },
      400,
      'invalid_token',
      'client identity derives from the bearer token',
    )
    await denied({ resource: null }, 400, 'invalid_token', 'missing routing headers')
    await denied({ resource: '  ' }, 400, 'invalid_token', 'missing routing headers')
    for (const zone_id of [undefined, 'z one!']) {
      await denied({ mandate: forged({ zone_id }) }, 401, 'invalid_token', 'missing token zone')
    }
    await denied({ mandate: forged({ client_id: undefined }) }, 401, 'invalid_token', 'missing token client')
  })

  test('12: paths that climb', async () => {
    const climbing = ['/v1/../admin', '/a/./b', '/%2e%2e/x', '/%252e%252e/x', '/a\\..\\s', '/a/%255c..%255cs']
    for (const path of [...climbing, '/a%zz', '/100%25']) {
      await denied({ path }, 400, 'invalid_token', 'path traversal not permitted')
    }
    for (const path of ['/.env', '/foo..bar']) expect((await scene.call({ path })).status).toBe(200)
  })

  test('13: what the zone did not sign', async () => {
    const mandate = await scene.mint()
    const [header, payload, signature] = mandate.split('.') as [string, string, string]
    const { kid } = parseCompact(mandate)?.header ?? { kid: '' }
    const claims = { ...parseCompact(mandate)?.claims }
    const under = (fields: Record<string, unknown>): string => `${encode(fields)}.${payload}`
    const hs256 = under({ alg: 'HS256', kid })
    const attempts = [
      `${header}.${encode({ ...claims, client_id: 'other' })}.${signature}`,
      `${under({ alg: 'none', kid })}.`,
      `${hs256}.${createHmac('sha256', 'x').update(hs256).digest('base64url')}`,
      `${under({ alg: 'RS256', kid })}.${signature}`,
      `${under({ alg: 'ES256' })}.${signature}`,
      `${header}.${payload}.${Buffer.alloc(63).toString('base64url')}`,
      makeKey(kid).signer.sign(claims),
    ]
    for (const attempt of attempts) {
      await denied({ mandate: attempt }, 401, 'invalid_token', 'bearer signature invalid')
    }
  })

  seam('turns the clock of one gateway')('18: a stale picture of revocations denies everything', async () => {
    ahead = 71_000
    await denied({}, 503, 'sts_unavailable', 'revocation state unavailable')
    const ready = await fetch(`${scene.stage.url}/ready`)
    expect(await ready.json()).toEqual({ ok: false, ready: false, reason: 'revocation_snapshot_stale' })
    await fetch(`${scene.stage.url}/internal/revocations/reload`, {
      method: 'POST',
      headers: { authorization: `Bearer ${scene.stage.settings.CARACAL_ADMIN_TOKEN}` },
    })
    expect((await scene.call()).status).toBe(200)
  })

  test('21: the operation floor', async () => {
    await scene.route(scene.upstream.url, [])
    await denied({}, 403, 'operation_not_permitted', /GET/)
    await scene.route(scene.upstream.url, [{ method: 'GET', path: '/x', scope: 'demo:read' }])
    expect((await scene.call()).status).toBe(200)
    scene.upstream.seen.length = 0
    await denied({ method: 'POST' }, 403, 'operation_not_permitted', /POST/)
    await denied({ path: '/x/' }, 403, 'operation_not_permitted', /\/x\//)
    const writer = await scene.mint({ scope: 'demo:write' })
    await denied({ mandate: writer }, 403, 'operation_not_permitted', /demo:read/)
    await scene.route(scene.upstream.url)
    expect((await scene.call({ path: '/anything' })).status).toBe(200)
  })

  test('21: placeholders in declared paths, and what climbs out of them', async () => {
    await scene.route(scene.upstream.url, [
      { method: 'GET', path: '/items/{id}', scope: 'demo:read' },
      { method: 'GET', path: '/files/*', scope: 'demo:read' },
      { method: 'GET', path: '/items/secret', scope: 'demo:admin' },
    ])
    for (const path of ['/items/42', '/items/caf%C3%A9', '/files/a/b%20c'])
      expect((await scene.call({ path })).status).toBe(200)
    scene.upstream.seen.length = 0
    for (const path of ['/items/..%2Fadmin', '/files/%252e%252e/admin', '/items/..;/x'])
      await denied({ path }, 400, 'invalid_token', /traversal/)
    for (const path of ['/items/a%2Fb', '/items/a%252Fb', '/items/', '/files/', '/items/secret;x'])
      await denied({ path }, 403, 'operation_not_permitted', /not a declared operation/)
    await denied({ path: '/items/secret' }, 403, 'operation_not_permitted', /demo:admin/)
    await scene.route(scene.upstream.url)
  })

  test('39: bodies over the limit', async () => {
    const body = 'x'.repeat(1024)
    const declared = { method: 'POST', body, headers: { 'content-length': '1024' } }
    await denied(declared, 413, 'payload_too_large', 'request body too large')
    const chunked = { method: 'POST', body, headers: { 'transfer-encoding': 'chunked' } }
    await denied(chunked, 413, 'payload_too_large', 'request body too large')
  })

  seam('takes a table from everybody')('16: replay memory away', async () => {
    const mandate = await scene.mint()
    await scene.world.database.admin`alter table ephemera rename to ephemera_away`
    const answer = await scene.call({ mandate, headers: { 'x-request-id': 'memory-away' } })
    await scene.world.database.admin`alter table ephemera_away rename to ephemera`
    expectDenied(answer, 503, 'sts_unavailable', 'replay protection unavailable')
    const events = (await scene.stage.allEvidence()).filter((event) => event.request_id === 'memory-away')
    expect(events).toEqual([])
  })

  seam('empties the memory of a store that others use')(
    '16a: a lost replay memory costs a retry, never a replay',
    async () => {
      const used = await scene.mint()
      const unused = await scene.mint()
      expect((await scene.call({ mandate: used })).status).toBe(200)
      scene.upstream.seen.length = 0
      await scene.world.database.admin`truncate ephemera`
      for (const mandate of [used, unused]) {
        await denied({ mandate }, 401, 'invalid_token', 'mandate predates replay memory')
      }
      await eventually(async () => (await scene.call()).status === 200)
    },
  )
})
