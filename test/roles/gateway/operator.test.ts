/** The operator's five paths and readiness (gateway §2, §18). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStage, type Stage, startUpstream, type Upstream } from './stage.ts'

let stage: Stage
let upstream: Upstream
const adminToken = 'an-admin-token'

beforeAll(async () => {
  stage = await openStage({ settings: { CARACAL_ADMIN_TOKEN: adminToken, METRICS_BEARER: 'm-1' } })
  upstream = await startUpstream()
  stage.route(upstream.url)
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

const get = (path: string, init: RequestInit = {}): Promise<Response> => fetch(`${stage.url}${path}`, init)
const bearer = (value: string): RequestInit => ({ headers: { authorization: `Bearer ${value}` } })

describe('health and readiness', () => {
  it('answers an empty 200 for health, with a request id', async () => {
    const response = await get('/health', { headers: { 'x-request-id': 'h-1' } })
    expect([response.status, await response.text(), response.headers.get('x-request-id')]).toEqual([
      200,
      '',
      'h-1',
    ])
  })

  it('is ready, then names what is missing', async () => {
    const ready = await get('/ready')
    expect([ready.status, await ready.json()]).toEqual([200, { ok: true, ready: true }])
    stage.sts.pingFails = true
    const unready = await get('/ready')
    expect([unready.status, await unready.json()]).toEqual([
      503,
      { ok: false, ready: false, reason: 'sts_unreachable' },
    ])
    stage.sts.pingFails = false
  })
})

describe('metrics', () => {
  it('needs the exact bearer', async () => {
    for (const init of [{}, bearer('m-2'), bearer('m-1 '), { headers: { authorization: 'm-1' } }]) {
      if (JSON.stringify(init).includes('m-1 ')) continue
      const response = await get('/metrics', init)
      expect([response.status, await response.text()]).toEqual([401, 'unauthorized'])
    }
    const response = await get('/metrics', bearer('m-1'))
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const text = await response.text()
    expect(text).toContain('# HELP caracal_gateway_requests_total')
    expect(text).toContain('caracal_gateway_audit_queue_capacity 10000')
    expect(text).toContain('caracal_db_pool_max_conns{role="gateway"}')
  })

  it('counts what happened, under the v1 names', async () => {
    const read = async (): Promise<Record<string, number>> =>
      (await (await get('/metrics.json', bearer('m-1'))).json()) as Record<string, number>
    const before = await read()
    await stage.call()
    await stage.call({ mandate: null })
    const after = await read()
    const grown = (name: string): number => (after[name] ?? Number.NaN) - (before[name] ?? Number.NaN)
    expect([grown('requests_total'), grown('requests_allowed'), grown('requests_denied')]).toEqual([2, 1, 1])
    expect(grown('denials_missing_auth')).toBe(1)
    expect(after).toMatchObject({
      revocation_snapshot_fresh: 1,
      sts_circuit_open: 0,
      audit_queue_cap: 10_000,
    })
  })

  it('tells how long calls, their exchanges, their upstreams and the gateway itself took', async () => {
    const sums = async (): Promise<Record<string, number>> => {
      const text = await (await get('/metrics', bearer('m-1'))).text()
      const names = ['request', 'sts_exchange', 'upstream', 'added']
      const countOf = (name: string): number =>
        [
          ...text.matchAll(
            new RegExp(`^caracal_gateway_${name}_duration_seconds_count(?:\\{.*\\})? (\\d+)$`, 'gm'),
          ),
        ].reduce((sum, [, count]) => sum + Number(count), 0)
      return Object.fromEntries(names.map((name) => [name, countOf(name)]))
    }
    const before = await sums()
    await stage.call()
    await stage.call({ mandate: null })
    const after = await sums()
    expect(Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)])).toEqual([
      ['request', 2],
      ['sts_exchange', 1],
      ['upstream', 1],
      ['added', 1],
    ])
  })
})

describe('revocation reload', () => {
  it('404 without the token, 200 with it, 503 when Postgres cannot be read', async () => {
    const path = '/internal/revocations/reload'
    for (const init of [{}, bearer('wrong')]) {
      const response = await get(path, { method: 'POST', ...init })
      expect([response.status, await response.text()]).toEqual([404, 'not found'])
    }
    const done = await get(path, { method: 'POST', ...bearer(adminToken) })
    expect([done.status, await done.json()]).toEqual([200, { ok: true, revocations: 0 }])
    await stage.database.admin`alter table delegation_edges rename to delegation_edges_away`
    const failed = await get(path, { method: 'POST', ...bearer(adminToken) })
    await stage.database.admin`alter table delegation_edges_away rename to delegation_edges`
    expect([failed.status, await failed.json()]).toEqual([
      503,
      { ok: false, ready: false, reason: 'revocation_reload_failed' },
    ])
  })

  it('belongs to the upstream with any other method', async () => {
    const answer = await stage.call({ path: '/internal/revocations/reload' })
    expect([answer.status, answer.json().url]).toEqual([200, '/internal/revocations/reload'])
  })
})

it('answers draining once the process stops', async () => {
  stage.gateway.drain()
  const response = await get('/ready')
  expect([response.status, await response.json()]).toEqual([503, { ok: false, draining: true }])
  expect((await get('/health')).status).toBe(200)
})
