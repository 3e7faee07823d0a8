/** What the gateway holds at once, and what becomes of the rest (gateway §16). */
import { Agent, type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { Hono } from 'hono'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createPools } from '../../../src/roles/gateway/proxy/pools.ts'
import { createAddressGuard } from '../../../src/roles/gateway/proxy/resolve.ts'
import { createTurnstile } from '../../../src/roles/gateway/proxy/turnstile.ts'
import { openListener } from '../../../src/server/listener.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { closePlatform, openPlatform, openStage, type StandingPlatform, startUpstream } from './stage.ts'

let platform: StandingPlatform
beforeAll(async () => {
  platform = await openPlatform()
})
afterAll(() => closePlatform(platform))
afterEach(() => {
  vi.useRealTimers()
})

/** Sends one event and then nothing, until `end`. */
async function startIdleUpstream() {
  const open = new Set<{ end(): void }>()
  const upstream = await startUpstream((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: first\n\n')
    open.add(response)
    response.on('close', () => open.delete(response))
  })
  return { ...upstream, open, [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose]() }
}

const targetAt = ({ url, host, port }: Awaited<ReturnType<typeof startUpstream>>) => ({
  origin: url,
  secure: false,
  hostname: '127.0.0.1',
  host,
  port,
  path: '/',
  query: '',
})

describe('turnstile', () => {
  const never = new AbortController().signal

  it('lets in as many as fit, in the order they came', async () => {
    const turnstile = createTurnstile(2, 10)
    expect([turnstile.enter(never, 1000), turnstile.enter(never, 1000)]).toEqual(['entered', 'entered'])
    const order: number[] = []
    const later = [1, 2, 3].map(async (n) => {
      expect(await turnstile.enter(never, 1000)).toBe('entered')
      order.push(n)
    })
    for (let n = 0; n < 3; n += 1) turnstile.leave()
    await Promise.all(later)
    expect(order).toEqual([1, 2, 3])
    expect([turnstile.inside, turnstile.waiting]).toEqual([2, 0])
    turnstile.leave()
    turnstile.leave()
    expect(turnstile.inside).toBe(0)
  })

  it('a full line, lost patience and a caller that leaves are told apart, and leave nothing behind', async () => {
    const turnstile = createTurnstile(1, 2)
    await turnstile.enter(never, 1000)
    const leaving = new AbortController()
    const impatient = turnstile.enter(never, 20)
    const left = turnstile.enter(leaving.signal, 10_000)
    expect(turnstile.enter(never, 1000)).toBe('full')
    leaving.abort()
    expect([await impatient, await left]).toEqual(['timeout', 'aborted'])
    expect([turnstile.inside, turnstile.waiting]).toEqual([1, 0])
    turnstile.leave()
    expect(turnstile.enter(never, 1000)).toBe('entered')
  })
})

describe('streams', () => {
  it('five hundred idle ones are held, the next is refused by name, and all memory comes back', async () => {
    const count = 500
    await using upstream = await startIdleUpstream()
    await using stage = await openStage({
      platform,
      settings: { GATEWAY_MAX_REQUESTS_IN_FLIGHT: count, UPSTREAM_MAX_CONNECTIONS: count },
    })
    stage.route(upstream.url)
    const before = process.memoryUsage.rss()
    const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY })
    const one = (): Promise<IncomingMessage> =>
      new Promise((resolve, reject) => {
        const headers = {
          authorization: `Bearer ${stage.sts.mint()}`,
          'x-caracal-resource': 'resource://demo',
        }
        request({ agent, port: stage.port, path: '/x', headers }, (response) => {
          response.on('error', () => undefined)
          response.once('data', () => resolve(response))
        })
          .on('error', reject)
          .end()
      })
    const held: IncomingMessage[] = []
    while (held.length < count) held.push(...(await Promise.all(Array.from({ length: 100 }, one))))
    expect(held.every(({ statusCode }) => statusCode === 200)).toBe(true)
    // Both ends and the upstream live in this process: six sockets' worth for each stream.
    expect((process.memoryUsage.rss() - before) / count).toBeLessThan(256 * 1024)

    const refused = await stage.call()
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1'])
    expect(refused.json()).toMatchObject({
      error: 'rate_limited',
      error_description: 'too many requests under way; the limit is GATEWAY_MAX_REQUESTS_IN_FLIGHT',
    })
    expect(await stage.metric('caracal_gateway_denials_overloaded_total')).toBe(1)
    expect(upstream.open.size).toBe(count)

    agent.destroy()
    await eventually(() => upstream.open.size === 0, { timeoutMs: 20_000 })
    const next = await stage.open()
    expect(next.statusCode).toBe(200)
    next.destroy()
  }, 120_000)

  it('more than fit one upstream wait in line, and a call that waits too long is answered', async () => {
    await using upstream = await startIdleUpstream()
    await using stage = await openStage({
      platform,
      settings: { UPSTREAM_MAX_CONNECTIONS: 2, UPSTREAM_TIMEOUT: 4000, WRITE_TIMEOUT: 60_000 },
    })
    stage.route(upstream.url)
    const streams = [await stage.open(), await stage.open()]
    await eventually(() => upstream.open.size === 2)
    const inLine = (calls: number): Promise<unknown> =>
      eventually(() => stage.sts.exchanges.length === streams.length + calls)
    const first = stage.open()
    await inLine(1)
    const second = stage.call()
    await inLine(2)
    const began = performance.now()
    const full = await stage.call()
    expect(performance.now() - began).toBeLessThan(3000)
    const busy = { error_description: 'upstream busy; the limit is UPSTREAM_MAX_CONNECTIONS' }
    expect([full.status, full.headers['retry-after']]).toEqual([503, '1'])
    expect(full.json()).toMatchObject(busy)

    streams[0]?.destroy()
    const entered = await first
    expect(entered.statusCode).toBe(200)
    const late = await stage.call({ headers: { 'x-request-id': 'late' } })
    expect(late.status).toBe(503)
    expect(await second).toMatchObject({ status: 503 })
    const [event] = await stage.evidence('late', 'gateway_resource_request')
    expect(event).toMatchObject({
      evaluation_status: 'upstream_error',
      metadata_json: { error_kind: 'transport_error' },
    })

    entered.destroy()
    streams[1]?.destroy()
    await eventually(() => upstream.open.size === 0)
    const again = await stage.open()
    expect(again.statusCode).toBe(200)
    again.destroy()
  })
})

describe('connections', () => {
  it('beyond the limit are closed as they come', async () => {
    const app = new Hono()
    app.get('/', (c) => c.text('ok'))
    const listener = await openListener({
      name: 'gateway',
      app,
      limits: {
        headerBytes: 16_384,
        headersTimeoutMs: 5000,
        requestTimeoutMs: 5000,
        keepAliveTimeoutMs: 5000,
        maxConnections: 3,
      },
      host: '127.0.0.1',
      port: 0,
      portVariable: 'GATEWAY_PORT',
    })
    const open = (): Promise<{ socket: Socket; closed: Promise<unknown> }> =>
      new Promise((resolve, reject) => {
        const socket = connect(listener.port, '127.0.0.1', () => resolve({ socket, closed }))
        const closed = new Promise((done) => socket.once('close', done))
        socket.on('error', reject)
        socket.resume()
      })
    const held = [await open(), await open(), await open()]
    await (await open()).closed
    expect(held.map(({ socket }) => socket.destroyed)).toEqual([false, false, false])
    held[0]?.socket.destroy()
    await held[0]?.closed
    const response = await eventually(() => fetch(listener.url).catch(() => null))
    expect(response.status).toBe(200)
    for (const { socket } of held) socket.destroy()
    await listener.close(100)
  })

  it('idle ones to upstreams are kept within the caps, least recently used go first', async () => {
    const guard = createAddressGuard({ allowlist: [], blockPrivate: false, ownPorts: () => [] })
    await using pools = createPools(guard, {
      connectionsPerHost: 150,
      headersTimeoutMs: 5000,
      bodyTimeoutMs: 5000,
      trust: { ok: true, ca: null },
    })
    const upstreams = await Promise.all([1, 2, 3].map(() => startUpstream()))
    const targets = upstreams.map(targetAt)
    const fill = async (at: number, count: number) => {
      const { pool } = pools.for(targets[at] as (typeof targets)[number])
      await Promise.all(
        Array.from({ length: count }, async () => {
          const { body } = await pool.request({ path: '/', method: 'GET' })
          await body.dump()
        }),
      )
    }
    const live = (at: number): Promise<number> =>
      new Promise((resolve) => upstreams[at]?.server.getConnections((_error, count) => resolve(count)))
    await fill(0, 80)
    await fill(1, 80)
    await fill(2, 80)
    pools.trim()
    await eventually(async () => (await live(0)) === 0)
    expect([await live(1), await live(2)]).toEqual([80, 80])
    await fill(1, 150)
    pools.trim()
    await eventually(async () => (await live(1)) === 0)
    expect(await live(2)).toBe(80)
    for (const one of upstreams) await one[Symbol.asyncDispose]()
  })

  it('a busy one is not kept for ever, and what is under way on it ends as it would have', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const guard = createAddressGuard({ allowlist: [], blockPrivate: false, ownPorts: () => [] })
    await using pools = createPools(guard, {
      connectionsPerHost: 2,
      headersTimeoutMs: 5000,
      bodyTimeoutMs: 5000,
      trust: { ok: true, ca: null },
    })
    await using upstream = await startIdleUpstream()
    const target = targetAt(upstream)
    const before = pools.for(target)
    const { body } = await before.pool.request({ path: '/', method: 'GET' })
    vi.advanceTimersByTime(9 * 60_000)
    expect(pools.for(target)).toBe(before)
    vi.advanceTimersByTime(60_000)
    const after = pools.for(target)
    expect(after.pool).not.toBe(before.pool)
    expect(after.turnstile).toBe(before.turnstile)
    for (const one of upstream.open) one.end()
    expect(await body.text()).toBe('data: first\n\n')
    await eventually(() => before.pool.stats.connected === 0)
  })
})
