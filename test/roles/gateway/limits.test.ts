/** Limits of time, rate and trust (gateway §12, §16). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createTlsServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCircuitBreaker } from '../../../src/roles/gateway/circuit-breaker.ts'
import { createRateLimits } from '../../../src/roles/gateway/rate-limits.ts'
import { eventually } from '../../fixtures/eventually.ts'
import {
  closePlatform,
  openPlatform,
  openStage,
  type StandingPlatform,
  startUpstream,
  type Upstream,
} from './stage.ts'

let platform: StandingPlatform
beforeAll(async () => {
  platform = await openPlatform()
})
afterAll(() => closePlatform(platform))

describe('rate limits', () => {
  it('count per key in one-minute windows; 0 is none', () => {
    let now = 0
    const limits = createRateLimits({ perIpPerMinute: 2, perApplicationPerMinute: 0, now: () => now })
    expect([limits.admitIp('a'), limits.admitIp('a'), limits.admitIp('b')]).toEqual([0, 0, 0])
    now = 20_000
    expect(limits.admitIp('a')).toBe(40)
    now = 60_000
    expect(limits.admitIp('a')).toBe(0)
    for (let index = 0; index < 100; index += 1) expect(limits.admitApplication('z', 'a')).toBe(0)
  })

  it('429 by address before anything is looked at, by application only after the signature', async () => {
    const upstream = await startUpstream()
    const stage = await openStage({
      platform,
      settings: { GATEWAY_RATE_LIMIT_PER_IP_PER_MIN: 8, GATEWAY_RATE_LIMIT_PER_APPLICATION_PER_MIN: 2 },
    })
    stage.route(upstream.url)
    const forged = `${stage.sts.mint().slice(0, -4)}AAAA`
    for (let index = 0; index < 3; index += 1)
      expect((await stage.call({ mandate: forged })).status).toBe(401)
    const spared = stage.sts.mint()
    expect((await stage.call()).status).toBe(200)
    expect((await stage.call()).status).toBe(200)
    const limited = await stage.call({ mandate: spared })
    expect([limited.status, limited.json().error]).toEqual([429, 'rate_limited'])
    expect(limited.json().error_description).toContain('GATEWAY_RATE_LIMIT_PER_APPLICATION_PER_MIN')
    expect(Number(limited.headers['retry-after'])).toBeGreaterThan(0)
    // The mandate was not used up.
    expect((await stage.call({ mandate: spared, path: '/again' })).status).toBe(429)
    expect((await stage.call({ mandate: stage.sts.mint({ client_id: 'app-2' }) })).status).toBe(200)
    const exchanges = stage.sts.exchanges.length
    const byAddress = await stage.call()
    expect(byAddress.json().error_description).toContain('GATEWAY_RATE_LIMIT_PER_IP_PER_MIN')
    expect(stage.sts.exchanges).toHaveLength(exchanges)
    await stage[Symbol.asyncDispose]()
    await upstream[Symbol.asyncDispose]()
  })
})

describe('circuit', () => {
  it('25: lets one try through after 10 s, and opens again on its failure', () => {
    let now = 0
    const breaker = createCircuitBreaker(() => now)
    expect([breaker.failed(), breaker.failed(), breaker.open]).toEqual([false, false, false])
    expect([breaker.failed(), breaker.open]).toEqual([true, true])
    now = 10_000
    expect(breaker.open).toBe(false)
    expect([breaker.failed(), breaker.open]).toEqual([true, true])
    now = 20_000
    breaker.succeeded()
    expect([breaker.failed(), breaker.failed(), breaker.open]).toEqual([false, false, false])
  })
})

describe('deadlines', () => {
  it('a plain answer must be written within WRITE_TIMEOUT, a stream need not', async () => {
    const upstream = await startUpstream((request, response) => {
      if (request.url === '/plain') response.setHeader('content-length', '1000')
      const timer = setInterval(() => response.write('x'), 50)
      response.on('close', () => clearInterval(timer))
      if (request.url === '/stream') setTimeout(() => response.end(), 800)
    })
    const stage = await openStage({ platform, settings: { WRITE_TIMEOUT: 300 } })
    stage.route(upstream.url)
    expect((await stage.call({ path: '/plain' })).complete).toBe(false)
    expect((await stage.call({ path: '/stream' })).complete).toBe(true)
    await stage[Symbol.asyncDispose]()
    await upstream[Symbol.asyncDispose]()
  })

  it('STREAM_MAX_DURATION ends a stream that never stops', async () => {
    const upstream = await startUpstream((_request, response) => {
      const timer = setInterval(() => response.write('x'), 20)
      response.on('close', () => clearInterval(timer))
    })
    const stage = await openStage({ platform, settings: { STREAM_MAX_DURATION: 300 } })
    stage.route(upstream.url)
    const startedAt = performance.now()
    expect((await stage.call()).complete).toBe(false)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    await stage[Symbol.asyncDispose]()
    await upstream[Symbol.asyncDispose]()
  })

  it('a snapshot older than 70 s denies everything until the next one', async () => {
    let ahead = 0
    const upstream = await startUpstream()
    const stage = await openStage({ platform, deps: { clock: () => performance.now() + ahead } })
    stage.route(upstream.url)
    expect((await stage.call()).status).toBe(200)
    ahead = 71_000
    const stale = await stage.call()
    expect([stale.status, stale.json().error, stale.json().error_description]).toEqual([
      503,
      'sts_unavailable',
      'revocation state unavailable',
    ])
    expect(upstream.seen).toHaveLength(1)
    const ready = await fetch(`${stage.url}/ready`)
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { ok: false, ready: false, reason: 'revocation_snapshot_stale' },
    ])
    await fetch(`${stage.url}/internal/revocations/reload`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stage.settings.CARACAL_ADMIN_TOKEN}` },
    })
    expect((await stage.call()).status).toBe(200)
    await stage[Symbol.asyncDispose]()
    await upstream[Symbol.asyncDispose]()
  })
})

/** For `api.test`; they serve nothing else. */
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgl7s1hboaHcPGAkMF
uYmUhmGoCwd0exo06cGJIEElUZahRANCAAQRk5OkkcR2bTXx46BD9KRokcs97RC2
CvR5l+JxnDWOdVa6WIeCd9SLC8MZYeBOFp9ILlTkmPj2cTZN84zrx8zW
-----END PRIVATE KEY-----
`
const certificate = `-----BEGIN CERTIFICATE-----
MIIBnTCCAUKgAwIBAgIUO9rY0Je+vmhtwAHP5IXPnSKSe2kwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNVGVzdCBVcHN0cmVhbTAgFw0yNjExMjEwMDE4MzJaGA8yMTI2
MTAyODAwMTgzMlowGDEWMBQGA1UEAwwNVGVzdCBVcHN0cmVhbTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABBGTk6SRxHZtNfHjoEP0pGiRyz3tELYK9HmX4nGcNY51
VrpYh4J31IsLwxlh4E4Wn0guVOSY+PZxNk3zjOvHzNajaDBmMB0GA1UdDgQWBBTJ
7XWSSAQ7rRi2qSMm0lVHjY1jtzAfBgNVHSMEGDAWgBTJ7XWSSAQ7rRi2qSMm0lVH
jY1jtzAPBgNVHRMBAf8EBTADAQH/MBMGA1UdEQQMMAqCCGFwaS50ZXN0MAoGCCqG
SM49BAMCA0kAMEYCIQCeI+FVNiwv0mdoNEDeOmBV1ZDqFY1pBYDyhp3X0ixf9AIh
AKquRTZpjv05/fXwt3w8ZGIl89X2DxBfOWXs8f+C8cyX
-----END CERTIFICATE-----
`

describe('TLS upstreams', () => {
  const directory = mkdtempSync(join(tmpdir(), 'caracal-tls-'))
  let server: Server
  let names: string[]
  const url = (host: string): string => `https://${host}:${(server.address() as AddressInfo).port}`

  beforeAll(async () => {
    writeFileSync(join(directory, 'cert.pem'), certificate)
    names = []
    server = createTlsServer({ key, cert: certificate }, (request, response) => {
      names.push(`${(request.socket as import('node:tls').TLSSocket & { servername?: string }).servername}`)
      response.end(request.headers.host)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  afterAll(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    rmSync(directory, { recursive: true, force: true })
  })

  const seen = async (extraCaFile: string | null, host: string): Promise<[number, string]> => {
    const stage = await openStage({
      platform,
      settings: { CARACAL_TLS_EXTRA_CA_FILE: extraCaFile },
      deps: { resolve: async () => [{ address: '127.0.0.1', family: 4 }] },
    })
    stage.route(url(host))
    const answer = await stage.call()
    await stage[Symbol.asyncDispose]()
    return [answer.status, answer.body]
  }

  it('dials the checked address under the upstream’s name and trusts an added authority', async () => {
    const [status, body] = await seen(join(directory, 'cert.pem'), 'api.test')
    expect([status, body]).toEqual([200, url('api.test').slice('https://'.length)])
    expect(names).toEqual(['api.test'])
  })

  it('502 for an unknown authority, another name, or a bundle that cannot be read', async () => {
    writeFileSync(join(directory, 'broken.pem'), 'nothing')
    const before = names.length
    for (const [file, host] of [
      [null, 'api.test'],
      [join(directory, 'cert.pem'), 'other.test'],
      [join(directory, 'absent.pem'), 'api.test'],
      [join(directory, 'broken.pem'), 'api.test'],
    ] as const) {
      const [status, body] = await seen(file, host)
      expect([status, JSON.parse(body).error_description]).toEqual([502, 'upstream unreachable'])
    }
    expect(names).toHaveLength(before)
  })
})

describe('replay memory', () => {
  let upstream: Upstream
  beforeAll(async () => {
    upstream = await startUpstream()
  })
  afterAll(() => upstream[Symbol.asyncDispose]())

  it('fails open only where JTI_FAIL_OPEN says so', async () => {
    const stage = await openStage({ platform, settings: { JTI_FAIL_OPEN: true } })
    stage.route(upstream.url)
    await stage.database.admin`alter table ephemera rename to ephemera_away`
    const answer = await stage.call()
    await stage.database.admin`alter table ephemera_away rename to ephemera`
    expect(answer.status).toBe(200)
    await eventually(async () => (await stage.call()).status === 200)
    const mandate = stage.sts.mint()
    await stage.call({ mandate })
    expect((await stage.call({ mandate })).status).toBe(401)
    await stage[Symbol.asyncDispose]()
  })
})
