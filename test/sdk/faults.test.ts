/** The SDK against servers that go wrong: nothing minted twice, no session left behind, close() always settles. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Authority, Caracal, CaracalError } from '../../src/sdk/index.ts'
import { eventually } from '../fixtures/eventually.ts'
import { type Fault, type FaultyServer, openFaultyServer } from './faulty-server.ts'

let server: FaultyServer
let caracal: Caracal
const warnings: string[] = []

beforeEach(async () => {
  server = await openFaultyServer()
  warnings.length = 0
  caracal = new Caracal({
    ...config(),
  })
})
afterEach(async () => {
  await caracal.close()
  await server[Symbol.asyncDispose]()
})

function config() {
  return {
    clientSecret: {
      stsUrl: `${server.url}/`,
      coordinatorUrl: server.url,
      gatewayUrl: server.url,
      zoneId: 'z',
      applicationId: 'app',
      clientSecret: 's3cret',
      resources: ['resource://x'],
      logger: (message: string) => warnings.push(message),
    },
  }
}

const call = () => {
  const send = caracal.applicationTransport('resource://x', { scopes: ['x:read'] })
  return send(caracal.gatewayRequest('resource://x', '/').url)
}
const count = (route: string) => server.requests.filter((one) => one.route === route).length

describe('an exchange is never repeated', () => {
  it.each<Fault>(['503', 'reset', 'reset-after', 'half', 'nonsense'])('%s', async (fault) => {
    server.faults.token = [fault]
    await expect(call()).rejects.toBeInstanceOf(CaracalError)
    expect(count('token')).toBe(1)
    expect(server.mints).toBeLessThanOrEqual(1)
    expect(server.live.size).toBe(0)
    expect((await call()).status).toBe(200)
  })

  it('and concurrent callers share one', async () => {
    await Promise.all(Array.from({ length: 10 }, () => caracal.headersAsync({ asApplication: true })))
    expect(server.mints).toBe(1)
  })

  it('and one caller that leaves does not take it from the others', async () => {
    const stop = new AbortController()
    const leaving = caracal.mintMandate('resource://x', ['x:read'], { signal: stop.signal })
    const staying = caracal.mintMandate('resource://x', ['x:read'])
    stop.abort(new Error('left'))
    await expect(leaving).rejects.toThrow('left')
    expect((await staying).expiresInSeconds).toBeGreaterThan(0)
    expect(server.mints).toBe(1)
  })
})

describe('starting a session', () => {
  it.each<Fault>(['503', 'reset', 'reset-after', 'half', 'nonsense'])(
    '15: %s is repeated with the same key and makes one session',
    async (fault) => {
      server.faults.start = [fault]
      await caracal.session(() => expect(server.live.size).toBe(1))
      const keys = server.requests
        .filter(({ route }) => route === 'start')
        .map(({ headers }) => headers['idempotency-key'])
      expect(keys).toHaveLength(2)
      expect(new Set(keys).size).toBe(1)
      expect(server.live.size).toBe(0)
    },
  )

  it('16: waits as long as Retry-After says', async () => {
    server.faults.start = ['503']
    server.retryAfter = '1'
    const began = performance.now()
    await caracal.session(() => null)
    expect(performance.now() - began).toBeGreaterThan(990)
    expect(count('start')).toBe(2)
  })

  it('gives up after two repetitions', async () => {
    server.faults.start = ['503', 'reset', '503']
    await expect(caracal.session(() => null)).rejects.toMatchObject({ status: 503 })
    expect(count('start')).toBe(3)
  })

  it('names the coordinator when that does not answer, and why', async () => {
    const lost = new Caracal({
      coordinator: { baseUrl: server.url, timeoutMs: 100 },
      zoneId: 'z',
      applicationId: 'app',
      subjectToken: 'opaque',
    })
    server.faults.start = ['reset', 'reset', 'reset']
    await expect(lost.session(() => null)).rejects.toThrow(
      /^coordinator POST \/zones\/z\/agents got no answer: \S+$/,
    )
    server.faults.start = ['hang', 'hang', 'hang']
    await expect(lost.session(() => null)).rejects.toThrow('got no answer: timeout')
    await lost.close()
  })

  it('an abort while the server works leaves no session', async () => {
    const stop = new AbortController()
    server.faults.start = ['503']
    server.retryAfter = '1'
    const starting = caracal.session(() => null, { signal: stop.signal })
    await eventually(() => (count('start') === 1 ? true : null))
    stop.abort(new Error('left'))
    await expect(starting).rejects.toThrow('left')
    await caracal.close()
    expect(count('start')).toBe(2)
    expect(server.live.size).toBe(0)
  })

  it('a narrowing that fails ends the child', async () => {
    server.faults.delegate = ['503']
    await caracal.session(async () => {
      const narrowed = { authority: Authority.narrow('x:read', { ttlSeconds: 60 }) }
      await expect(caracal.session(() => null, narrowed)).rejects.toMatchObject({ status: 503 })
      expect(count('delegate')).toBe(1)
      expect(server.live.size).toBe(1)
    })
    await expect(
      caracal.session(() => null, { authority: Authority.narrow('x:read', { ttlSeconds: 60 }) }),
    ).rejects.toThrow('parent session')
    expect(server.live.size).toBe(0)
  })

  it('the failure of the work goes before that of the end', async () => {
    server.faults.end = ['503', '503']
    await expect(caracal.session(() => Promise.reject(new Error('work')))).rejects.toThrow('work')
    expect(warnings).toHaveLength(1)
    await expect(caracal.session(() => 1)).rejects.toMatchObject({ status: 503 })
  })
})

describe('application authority', () => {
  it.each<Fault>(['503', 'reset', 'half'])(
    'a delegation that fails (%s) leaves no session',
    async (fault) => {
      server.faults.delegate = [fault]
      await expect(call()).rejects.toThrow()
      expect(server.live.size).toBe(0)
      expect((await call()).status).toBe(200)
      expect(server.live.size).toBe(2)
    },
  )

  it('a request through the gateway is sent once', async () => {
    await call()
    const before = server.mints
    server.faults.gateway = ['reset']
    await expect(call()).rejects.toThrow()
    expect(server.mints).toBe(before + 1)
    expect(count('gateway')).toBe(2)
  })

  it('a body half way is the caller\u2019s error, not a hang', async () => {
    await call()
    server.faults.gateway = ['half']
    await expect(call().then((response) => response.text())).rejects.toThrow()
  })
})

describe('close()', () => {
  it.each<Fault>(['503', 'reset', 'half', 'nonsense'])('settles when ending fails (%s)', async (fault) => {
    await call()
    server.faults.end = [fault, fault]
    await caracal.close()
    expect(warnings.length).toBeGreaterThan(0)
  })

  it('settles when the server hangs', async () => {
    const impatient = new Caracal({
      coordinator: { baseUrl: server.url, timeoutMs: 100 },
      zoneId: 'z',
      applicationId: 'app',
      subjectToken: 'opaque',
      logger: (message) => warnings.push(message),
    })
    server.faults.end = ['hang']
    await impatient.startSession({ heartbeatIntervalMs: 0 })
    await impatient.close()
    expect(warnings.join()).toContain('could not be ended')
    await expect(impatient.session(() => null)).rejects.toThrow('Caracal client is closed')
  })

  it('in the middle of making authority ends what was made', async () => {
    server.faults.delegate = ['503']
    const going = expect(call()).rejects.toThrow()
    await eventually(() => (count('start') >= 1 ? true : null))
    const closing = caracal.close()
    await going
    await closing
    expect(server.live.size).toBe(0)
  })

  it('ends service sessions and their heartbeats', async () => {
    const handle = await caracal.startSession({ heartbeatIntervalMs: 10 })
    await eventually(() => (count('heartbeat') >= 2 ? true : null))
    await caracal.close()
    expect(server.live.size).toBe(0)
    const last = server.requests.filter(({ route }) => route === 'end').at(-1)
    expect(JSON.parse(last?.body ?? '')).toEqual({ lease_generation: 1 })
    await expect(handle.heartbeat()).rejects.toThrow('closed')
    const beats = count('heartbeat')
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(count('heartbeat')).toBe(beats)
  })
})

it('a service session that is suspended and resumed keeps its lease again', async () => {
  const states: string[] = []
  const handle = await caracal.startSession({
    heartbeatIntervalMs: 10,
    onStateChange: (status) => states.push(status),
  })
  server.status = 'suspended'
  await eventually(() => (states.includes('suspended') ? true : null))
  const beats = count('heartbeat')
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(count('heartbeat')).toBe(beats)
  server.status = 'active'
  await handle.heartbeat()
  expect(states).toEqual(['suspended', 'active'])
  await eventually(() => (count('heartbeat') >= beats + 3 ? true : null))
})

describe('on the wire', () => {
  it('the first exchange is §2, field by field', async () => {
    await call()
    const grant = 'urn:ietf:params:oauth:grant-type:token-exchange'
    const [first, second] = server.requests.filter(({ route }) => route === 'token').map(({ body }) => body)
    expect([...new URLSearchParams(first)]).toEqual([
      ['grant_type', grant],
      ['zone_id', 'z'],
      ['application_id', 'app'],
      ['resource', 'resource://x'],
      ['client_secret', 's3cret'],
      ['scope', 'agent:lifecycle'],
    ])
    expect([...new URLSearchParams(second)].map(([name]) => name)).toEqual([
      'grant_type',
      'zone_id',
      'application_id',
      'resource',
      'client_secret',
      'agent_session_id',
      'delegation_edge_id',
      'scope',
      'ttl_seconds',
    ])
    const starts = server.requests.filter(({ route }) => route === 'start')
    expect(starts.map(({ body }) => JSON.parse(body))).toEqual(
      Array(2).fill({ application_id: 'app', ttl_seconds: 1020, labels: ['app'] }),
    )
    expect(starts[0]?.headers).not.toHaveProperty('traceparent')
    expect(starts[0]?.headers).not.toHaveProperty('idempotency-key-kind')
    const gateway = server.requests.at(-1)?.headers
    expect(gateway?.baggage).toMatch(
      /^caracal\.agent_session=[^,]+,caracal\.delegation_edge=[^,]+,caracal\.hop=0$/,
    )
    expect(gateway?.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    await caracal.close()
    const ends = server.requests.filter(({ route }) => route === 'end')
    expect(ends).toHaveLength(2)
    for (const { body, headers } of ends) expect([body, headers['content-type']]).toEqual(['', undefined])
  })
})

describe('waiting for an approval', () => {
  it.each<Fault>(['reset', 'reset-after', 'half'])('survives a lost answer: %s', async (fault) => {
    server.faults.approval = [fault, fault]
    expect(await caracal.waitForApproval('a', { timeoutMs: 5000 })).toBe('approved')
    expect(count('approval')).toBe(3)
  })

  it('ends with its time when nothing answers', async () => {
    server.faults.approval = Array.from({ length: 20 }, () => 'reset')
    await expect(caracal.waitForApproval('a', { timeoutMs: 700 })).rejects.toMatchObject({
      code: 'sts_unavailable',
      message: expect.stringContaining('STS cannot be reached: '),
    })
  })

  it.each<Fault>(['503', 'nonsense'])('takes an answer without a state for an error: %s', async (fault) => {
    server.faults.approval = [fault]
    await expect(caracal.waitForApproval('a')).rejects.toBeInstanceOf(CaracalError)
    expect(count('approval')).toBe(1)
  })
})
