/** Steps 14 and 15: what the caller sees of the exchange, the circuit, the keys, and the failures of the stores. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { StsUnreachable } from '../../../src/roles/sts/port.ts'
import { eventually } from '../../fixtures/eventually.ts'
import {
  closePlatform,
  openPlatform,
  openStage,
  type Stage,
  type StandingPlatform,
  startUpstream,
  type Upstream,
} from './stage.ts'
import { makeKey } from './zone-sts.ts'

let stage: Stage
let upstream: Upstream
let platform: StandingPlatform

beforeAll(async () => {
  platform = await openPlatform()
  upstream = await startUpstream()
})
beforeEach(async () => {
  stage = await openStage({ settings: { STS_TIMEOUT: 300 }, platform })
  stage.route(upstream.url)
  upstream.seen.length = 0
  return () => stage[Symbol.asyncDispose]()
})
afterAll(async () => {
  await upstream[Symbol.asyncDispose]()
  await closePlatform(platform)
})

const seen = async (options = {}): Promise<unknown[]> => {
  const answer = await stage.call(options)
  return [answer.status, answer.json().error, answer.json().error_description]
}

describe('answers of the STS', () => {
  it('24: passes a refusal on with its own request id, and records it', async () => {
    stage.sts.answer = async () => ({
      ok: false,
      status: 403,
      error: 'access_denied',
      description: 'policy denied',
    })
    const answer = await stage.call({ headers: { 'x-request-id': 'refused-1' } })
    expect(answer.status).toBe(403)
    expect(answer.json()).toEqual({
      error: 'access_denied',
      error_description: 'policy denied',
      requestId: 'refused-1',
    })
    expect(upstream.seen).toHaveLength(0)
    const [event] = await stage.evidence('refused-1', 'gateway_request_denied')
    expect(event).toMatchObject({
      decision: 'deny',
      evaluation_status: 'sts_denied',
      metadata_json: { application_id: 'app-1', gateway_status: 403, reason: 'policy denied' },
    })
  })

  it('shows how to wait for an approval, and when to come back', async () => {
    stage.sts.answer = async () => ({
      ok: false,
      status: 401,
      error: 'interaction_required',
      description: 'approval required',
      details: { approval_id: 'ap-1', state: 'pending', error: 'never this' },
      retryAfterSeconds: 7,
    })
    const answer = await stage.call()
    expect(answer.headers['retry-after']).toBe('7')
    expect(answer.json()).toMatchObject({
      error: 'interaction_required',
      approval_id: 'ap-1',
      state: 'pending',
    })
  })

  it.each([
    ['timeout', 504, 'sts timeout'],
    ['transport', 502, 'sts unavailable'],
    ['invalid_response', 502, 'sts response invalid'],
  ] as const)('24: %s → %i', async (kind, status, description) => {
    stage.sts.answer = async () => {
      throw new StsUnreachable(kind, 'http://10.0.0.7:8080 refused')
    }
    expect(await seen()).toEqual([status, 'sts_unavailable', description])
  })

  it('24: 504 when it hangs, without waiting longer than STS_TIMEOUT', async () => {
    stage.sts.answer = () => new Promise(() => undefined)
    const startedAt = performance.now()
    expect(await seen()).toEqual([504, 'sts_unavailable', 'sts timeout'])
    expect(performance.now() - startedAt).toBeLessThan(4500)
  })

  it('24: 403 without a directive', async () => {
    const granted = { ok: true, expiresIn: 1, targetResources: [], upstreams: {} } as const
    stage.sts.answer = async () => ({ ...granted, accessToken: () => 't' })
    expect(await seen()).toEqual([403, 'access_denied', 'resource upstream not configured'])
    expect(await seen({ resource: 'constructor' })).toEqual([
      403,
      'access_denied',
      'resource upstream not configured',
    ])
  })

  it('hands over what was verified, once per call', async () => {
    const mandate = stage.sts.mint({ sub: 'someone' })
    await stage.call({ mandate, method: 'PATCH', path: '/a%20b?q=1', headers: { 'x-request-id': 'r-9' } })
    expect(stage.sts.exchanges).toHaveLength(1)
    expect(stage.sts.exchanges[0]).toMatchObject({
      requestId: 'r-9',
      zoneId: 'zone-1',
      applicationId: 'app-1',
      mandate,
      resource: 'resource://demo',
      method: 'PATCH',
      path: '/a b',
      verifiedClaims: { sub: 'someone' },
    })
  })
})

describe('circuit', () => {
  it('25: opens after three failures in a row, and answers without asking', async () => {
    stage.sts.answer = async () => {
      throw new StsUnreachable('transport', 'away')
    }
    for (let index = 0; index < 3; index += 1) expect((await seen())[0]).toBe(502)
    stage.sts.answer = null
    const asked = stage.sts.exchanges.length
    expect(await seen()).toEqual([503, 'sts_unavailable', 'sts unavailable'])
    expect(stage.sts.exchanges).toHaveLength(asked)
    expect(await stage.metric('caracal_gateway_sts_circuit_open')).toBe(1)
    expect(await stage.metric('caracal_gateway_sts_circuit_fast_fail_total')).toBe(1)
    expect(await stage.metric('caracal_gateway_sts_circuit_opened_total')).toBe(1)
  })

  it('25: stays closed over refusals', async () => {
    stage.sts.directives.clear()
    for (let index = 0; index < 4; index += 1) expect((await seen())[0]).toBe(403)
    stage.route(upstream.url)
    expect((await stage.call()).status).toBe(200)
  })
})

describe('verification keys', () => {
  it('14: asks once more for an unknown key, then not for 30 s', async () => {
    await stage.call()
    const before = stage.sts.keyFetches
    for (let index = 0; index < 5; index += 1) {
      expect((await seen({ mandate: stage.sts.mint({}, makeKey()) }))[2]).toBe('bearer signature invalid')
    }
    expect(stage.sts.keyFetches - before).toBe(1)
  })

  it('14: takes a key that was just rotated in', async () => {
    await stage.call()
    stage.sts.keys = [makeKey(), ...stage.sts.keys]
    expect((await stage.call()).status).toBe(200)
  })

  it('drops a withdrawn key on its event', async () => {
    const [old] = stage.sts.keys
    await stage.call()
    stage.sts.keys = [makeKey()]
    await stage.publish('caracal.keys.invalidate', { zone_id: 'zone-1' })
    await eventually(async () => (await seen({ mandate: stage.sts.mint({}, old) }))[0] === 401)
  })

  it('503 while they cannot be had', async () => {
    stage.sts.keysFail = true
    expect(await seen()).toEqual([503, 'sts_unavailable', 'sts unavailable'])
    stage.sts.keysFail = false
    expect((await stage.call()).status).toBe(200)
  })

  it('keeps the store out of a flood of invented zones', async () => {
    let asked = 0
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const { zoneKeys } = stage.sts
    stage.sts.zoneKeys = async (zone) => {
      asked += 1
      await gate
      return zoneKeys(zone)
    }
    const statuses: unknown[] = []
    const flood = Array.from({ length: 40 }, async (_, index) => {
      statuses.push((await seen({ mandate: stage.sts.mint({ zone_id: `invented-${index}` }) }))[0])
    })
    await eventually(() => statuses.length === 8)
    expect([asked, ...statuses]).toEqual([32, ...Array.from({ length: 8 }, () => 503)])
    release()
    await Promise.all(flood)
    expect(statuses.filter((status) => status === 401)).toHaveLength(32)
    stage.sts.zoneKeys = zoneKeys
    expect((await stage.call()).status).toBe(200)
  })

  it('asks once for an unknown zone however often it is named', async () => {
    const before = stage.sts.keyFetches
    for (let index = 0; index < 5; index += 1) {
      expect((await seen({ mandate: stage.sts.mint({ zone_id: 'nowhere' }) }))[0]).toBe(401)
    }
    expect(stage.sts.keyFetches - before).toBe(1)
  })
})

describe('stores', () => {
  it('refuses a mandate after the replay memory was lost, and one use stays one use', async () => {
    const used = stage.sts.mint()
    const unused = stage.sts.mint()
    expect((await stage.call({ mandate: used })).status).toBe(200)
    await stage.database.admin`truncate ephemera`
    for (const mandate of [used, unused]) {
      expect((await seen({ mandate }))[2]).toBe('mandate predates replay memory')
    }
    expect(upstream.seen).toHaveLength(1)
    await eventually(async () => (await stage.call()).status === 200)
  })

  it('503 when the replay memory cannot be asked, nothing dialled, no replay recorded', async () => {
    await stage.database.admin`alter table ephemera rename to ephemera_away`
    const answer = await stage.call({ headers: { 'x-request-id': 'no-memory' } })
    await stage.database.admin`alter table ephemera_away rename to ephemera`
    expect([answer.status, answer.json().error_description]).toEqual([503, 'replay protection unavailable'])
    expect(stage.sts.exchanges).toHaveLength(0)
    expect((await stage.allEvidence()).filter((event) => event.request_id === 'no-memory')).toHaveLength(0)
  })

  it('a mandate replayed 10,000 times costs neither policy nor, past a few, the store', async () => {
    const mandate = stage.sts.mint()
    expect((await stage.call({ mandate })).status).toBe(200)
    const claims: string[] = []
    const { replay } = stage.ephemera
    const claim = replay.claim.bind(replay)
    Object.assign(replay, {
      claim: (key: string, ...rest: [string, number, number | null]) => {
        claims.push(key)
        return claim(key, ...rest)
      },
    })
    const { Agent, request } = await import('node:http')
    const agent = new Agent({ keepAlive: true, maxSockets: 20 })
    const one = (bearer = mandate): Promise<number> =>
      new Promise((resolve, reject) => {
        request(
          {
            agent,
            port: stage.port,
            path: '/x',
            headers: { authorization: `Bearer ${bearer}`, 'x-caracal-resource': 'resource://demo' },
          },
          (response) => {
            response.resume()
            response.on('end', () => resolve(response.statusCode ?? 0))
          },
        )
          .on('error', reject)
          .end()
      })
    const statuses = new Set<number>()
    // Another application works meanwhile: each of its calls queues behind a round of the flood at most.
    const others: number[] = []
    for (let round = 0; round < 100; round += 1) {
      const began = performance.now()
      const other = one(stage.sts.mint({ client_id: 'app-2', sub: 'app-2' })).then((status) => {
        if (status === 200) others.push(performance.now() - began)
      })
      for (const status of await Promise.all(Array.from({ length: 100 }, () => one()))) statuses.add(status)
      await other
    }
    agent.destroy()
    expect([...statuses]).toEqual([401])
    expect(others).toHaveLength(100)
    expect(others.sort((a, b) => a - b)[50]).toBeLessThan(1000)
    expect(stage.sts.exchanges).toHaveLength(101)
    expect(upstream.seen).toHaveLength(101)
    expect(claims.length - others.length).toBeLessThan(200)
    expect(await stage.metric('caracal_gateway_denials_jti_replay_total')).toBe(10_000)
  }, 60_000)
})
