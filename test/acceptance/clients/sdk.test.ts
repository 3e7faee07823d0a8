/** sdk-cli-console §16, checks of the SDK against a whole server. */
import { afterAll, beforeAll, describe, expect, it, type MockInstance, vi } from 'vitest'
import {
  Authority,
  Caracal,
  type CaracalEvent,
  CoordinatorError,
  type HeartbeatStatus,
} from '../../../src/sdk/index.ts'
import { createWorld, openStage, type Stage, type World } from './stage.ts'

let stage: Stage
let world: World

beforeAll(async () => {
  stage = await openStage()
  world = await createWorld(stage)
})
afterAll(async () => stage?.[Symbol.asyncDispose]())

/** A client whose requests are written down as `METHOD service path`. */
function client(options: { resources?: string[]; fetchImpl?: typeof fetch } = {}) {
  const calls: string[] = []
  const names = Object.entries(stage.urls)
  const events: CaracalEvent[] = []
  const send = options.fetchImpl ?? fetch
  const caracal = Caracal.fromClientSecret({
    ...world,
    stsUrl: stage.urls.sts,
    coordinatorUrl: stage.urls.coordinator,
    gatewayUrl: stage.urls.gateway,
    resources: options.resources ?? [world.resource],
    logger: () => undefined,
    fetchImpl: (input, init) => {
      const url = String(input)
      const [name = '?', base = ''] = names.find(([, one]) => url.startsWith(one)) ?? []
      calls.push(`${init?.method ?? 'GET'} ${name} ${url.slice(base.length)}`)
      return send(input, init)
    },
  })
  caracal.onEvent((event) => events.push(event))
  return { caracal, calls, events }
}

const env = () => ({
  CARACAL_ZONE_ID: world.zoneId,
  CARACAL_APPLICATION_ID: world.applicationId,
  CARACAL_APP_CLIENT_SECRET: world.clientSecret,
  CARACAL_STS_URL: stage.urls.sts,
  CARACAL_COORDINATOR_URL: stage.urls.coordinator,
  CARACAL_GATEWAY_URL: stage.urls.gateway,
  CARACAL_CONFIG_HOME: '/nonexistent',
})

const sessionsOf = async () =>
  (await stage.admin('GET', `/zones/${world.zoneId}/sessions`)).items as { id: string; status: string }[]

describe('application transport', () => {
  it('1: the protected call is §2, request by request; close() ends both sessions', async () => {
    const { caracal, calls } = client()
    const call = caracal.applicationTransport(world.resource, { scopes: ['x:read'] })
    const response = await call(caracal.gatewayRequest(world.resource, '/v1/models').url)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ method: 'GET', url: '/v1/models' })
    const agents = `/zones/${world.zoneId}/agents`
    expect(calls).toEqual([
      'POST sts /oauth/2/token',
      `POST coordinator ${agents}`,
      `POST coordinator ${agents}`,
      `POST coordinator /zones/${world.zoneId}/delegations`,
      'POST sts /oauth/2/token',
      'GET gateway /v1/models',
    ])
    await caracal.close()
    expect(calls.slice(6).map((line) => line.replace(/[^/]+$/, '…'))).toEqual([
      `DELETE coordinator ${agents}/…`,
      `DELETE coordinator ${agents}/…`,
    ])
    expect((await sessionsOf()).filter(({ status }) => status === 'active')).toEqual([])
    await expect(call('/')).rejects.toThrow('Caracal client is closed')
    await caracal.close()
  })

  it('2: a second call costs one exchange and one request, with its own mandate', async () => {
    await using caracal = client().caracal
    const bearers = new Set<string>()
    const { caracal: counted, calls } = client({
      fetchImpl: (input, init) => {
        const bearer = new Headers(init?.headers).get('authorization')
        if (String(input).startsWith(stage.urls.gateway) && bearer !== null) bearers.add(bearer)
        return fetch(input, init)
      },
    })
    const call = counted.applicationTransport(world.resource, { scopes: ['x:read'] })
    const { url } = counted.gatewayRequest(world.resource, '/')
    expect((await call(url)).status).toBe(200)
    const cold = calls.length
    expect((await call(url)).status).toBe(200)
    expect(calls.slice(cold)).toEqual(['POST sts /oauth/2/token', 'GET gateway /'])
    expect(bearers.size).toBe(2)
    await counted.close()
    expect(await caracal.identity()).toMatchObject({ zoneId: world.zoneId })
  })

  it('3: 20 first calls at once make two sessions and one delegation', async () => {
    const { caracal, calls } = client()
    const call = caracal.applicationTransport(world.resource, { scopes: ['x:read'] })
    const { url } = caracal.gatewayRequest(world.resource, '/')
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(url)))
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect(calls.filter((line) => line.includes('/agents'))).toHaveLength(2)
    expect(calls.filter((line) => line.includes('/delegations'))).toHaveLength(1)
    await caracal.close()
  })

  it('a renewed authority leaves the calls that began under the old one alone', async () => {
    let elapsed: MockInstance | undefined
    const { caracal, calls } = client({
      fetchImpl: (input, init) => {
        // The server of the test may be in this process, and its clock must not move.
        elapsed?.mockRestore()
        return fetch(input, init)
      },
    })
    const call = caracal.applicationTransport(world.resource, { scopes: ['x:read'] })
    const { url } = caracal.gatewayRequest(world.resource, '/')
    let finish = (): unknown => undefined
    stage.upstream.answer = (_request, response) => {
      stage.upstream.answer = null
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: begun\n\n')
      finish = () => response.end('data: done\n\n')
    }
    const stream = await call(url)
    const soonOver = Date.now() + 970_000
    elapsed = vi.spyOn(Date, 'now').mockReturnValue(soonOver)
    expect((await call(url)).status).toBe(200)
    expect(calls.filter((line) => line.includes('/delegations'))).toHaveLength(2)
    await caracal.identity()
    expect(calls.filter((line) => line.startsWith('DELETE'))).toEqual([])
    finish()
    expect(await stream.text()).toContain('data: done')
    await caracal.close()
    expect(calls.filter((line) => line.startsWith('DELETE'))).toHaveLength(4)
  })

  it('6: three variables are enough', async () => {
    await using caracal = new Caracal({ env: env() })
    const call = caracal.applicationTransport(world.resource, { scopes: ['x:read'] })
    expect((await call(caracal.gatewayRequest(world.resource, '/daily').url)).status).toBe(200)
    await expect(caracal.session(() => null)).rejects.toThrow('CARACAL_APP_RESOURCES')
  })

  it('30: the upstream sees no Caracal header or baggage, keeps other baggage and a trace', async () => {
    await using caracal = client().caracal
    const call = caracal.applicationTransport(world.resource, { scopes: ['x:read'] })
    const response = await call(caracal.gatewayRequest(world.resource, '/').url, {
      headers: { baggage: 'tenant=blue' },
    })
    const { headers } = (await response.json()) as { headers: Record<string, string> }
    expect(Object.keys(headers).filter((name) => name.startsWith('x-caracal'))).toEqual([])
    expect(headers.baggage).toBe('tenant=blue')
    expect(headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  })

  it('31: a redirect is answered, not followed', async () => {
    await using caracal = client().caracal
    stage.upstream.answer = (_request, response) => {
      response.writeHead(302, { location: 'https://elsewhere.example/' }).end()
    }
    try {
      const before = stage.upstream.seen.length
      const call = caracal.applicationTransport(world.resource, { scopes: ['x:read'] })
      expect((await call(caracal.gatewayRequest(world.resource, '/').url)).status).toBe(302)
      expect(stage.upstream.seen.length).toBe(before + 1)
    } finally {
      stage.upstream.answer = null
    }
  })
})

describe('sessions and delegation', () => {
  const narrowed = (scopes: string[]) => ({
    authority: Authority.narrow(scopes, { resourceId: world.resource, ttlSeconds: 300 }),
    labels: [world.applicationId],
  })

  it('7: a narrowed nested session makes a governed call', async () => {
    const bodies: Record<string, unknown>[] = []
    const { caracal } = client({
      fetchImpl: (input, init) => {
        if (String(input).startsWith(stage.urls.coordinator) && init?.body)
          bodies.push(JSON.parse(String(init.body)) as Record<string, unknown>)
        return fetch(input, init)
      },
    })
    let parent: string | undefined
    const status = await caracal.session(
      (outer) => {
        parent = outer.sessionId
        return caracal.session(
          async (inner) => {
            expect(caracal.describeAuthority()?.chain).toEqual([
              `session:${inner.sessionId}`,
              `delegation:${inner.delegationId}`,
            ])
            expect(inner.sessionId).not.toBe(outer.sessionId)
            return (await caracal.fetch(world.resource, '/', { scopes: ['x:read'] })).status
          },
          narrowed(['x:read']),
        )
      },
      { labels: [world.applicationId] },
    )
    expect(status).toBe(200)
    expect(parent).toMatch(/^[0-9a-f-]{36}$/)
    expect(bodies[1]).toMatchObject({ parent_authority: 'none', parent_id: parent })
    expect(bodies[2]).toMatchObject({ resource_id: world.resource, scopes: ['x:read'], ttl_seconds: 300 })
    await caracal.close()
    expect((await sessionsOf()).filter((one) => one.status === 'active')).toEqual([])
  })

  it('8: a scope outside the delegation is refused before the upstream hears of it', async () => {
    await using caracal = client().caracal
    const before = stage.upstream.seen.length
    await caracal.session(
      () =>
        caracal.session(
          async () => {
            await expect(caracal.fetch(world.resource, '/', { scopes: ['x:write'] })).rejects.toMatchObject({
              name: 'CaracalError',
              code: 'access_denied',
            })
          },
          narrowed(['x:read']),
        ),
      { labels: [world.applicationId] },
    )
    expect(stage.upstream.seen.length).toBe(before)
  })

  it('9: a mint without a delegation is denied with a hint', async () => {
    await using caracal = client().caracal
    await caracal.session(async () => {
      await expect(caracal.mintMandate(world.resource, ['x:read'])).rejects.toThrow(
        /lifecycle authority only/,
      )
    })
  })

  it('10: service sessions: heartbeat moves the deadline, a second holder fences the first', async () => {
    await using first = client().caracal
    await using second = client().caracal
    const lost: unknown[] = []
    const handle = await first.startSession({
      heartbeatIntervalMs: 0,
      onLeaseLost: (error) => lost.push(error),
    })
    expect(handle.leaseGeneration).toBe(1)
    const before = handle.deadlineAt?.getTime() ?? 0
    await new Promise((resolve) => setTimeout(resolve, 20))
    await handle.heartbeat()
    expect(handle.deadlineAt?.getTime()).toBeGreaterThan(before)
    const taken = await second.attachSession(handle.sessionId, { heartbeatIntervalMs: 0 })
    expect(taken.leaseGeneration).toBe(2)
    const refused = handle.heartbeat('healthy' satisfies HeartbeatStatus)
    await expect(refused).rejects.toMatchObject({ status: 409, code: 'session_lease_fenced' })
    await expect(refused).rejects.toBeInstanceOf(CoordinatorError)
    expect(lost).toHaveLength(1)
    await taken.close()
    await handle.close()
  })

  it('14: an idempotency key is answered once', async () => {
    const { caracal, events } = client()
    const ids = await caracal.session(
      (one) => caracal.bind(one, async () => [one.sessionId, await inner()]),
      { idempotencyKey: 'k', labels: ['a'] },
    )
    async function inner() {
      const other = client()
      const id = await other.caracal.session((two) => two.sessionId, { idempotencyKey: 'k2', labels: ['a'] })
      await other.caracal.close()
      return id
    }
    expect(new Set(ids).size).toBe(2)
    await expect(caracal.session(() => null, { idempotencyKey: 'k', labels: ['a'] })).rejects.toMatchObject({
      code: 'idempotency_result_inactive',
    })
    await expect(caracal.session(() => null, { idempotencyKey: 'k', labels: ['b'] })).rejects.toMatchObject({
      code: 'idempotency_key_conflict',
    })
    expect(
      events.filter((event) => event.type === 'coordinator.call' && event.code !== undefined),
    ).toHaveLength(2)
    await caracal.close()
  })

  it('18: a delegation is accepted while it is active, and not after it is revoked', async () => {
    const { caracal, events } = client()
    await caracal.session(
      async (parent) => {
        await caracal.session(
          async (child) => {
            const { delegationId } = await caracal.bind(parent, () =>
              caracal.delegate({
                toSessionId: child.sessionId ?? '',
                scopes: ['x:read'],
                resourceId: world.resource,
                ttlSeconds: 300,
              }),
            )
            const status = await caracal.acceptDelegation(
              delegationId,
              async () => (await caracal.fetch(world.resource, '/', { scopes: ['x:read'] })).status,
              { validate: true },
            )
            expect(status).toBe(200)
            await caracal.revokeDelegation(delegationId)
            await expect(
              caracal.acceptDelegation(delegationId, () => null, { validate: true }),
            ).rejects.toThrow(/delegation/)
            await expect(
              caracal.acceptDelegation(delegationId, () =>
                caracal.fetch(world.resource, '/', { scopes: ['x:read'] }),
              ),
            ).rejects.toMatchObject({ code: 'access_denied' })
          },
          { authority: Authority.none(), labels: [world.applicationId] },
        )
      },
      { labels: [world.applicationId] },
    )
    expect(
      events.filter(({ type }) => type === 'delegation.accept').map((event) => 'ok' in event && event.ok),
    ).toEqual([true, false, true])
    await caracal.close()
  })

  it('27: a lifecycle mandate never leaves for the gateway', async () => {
    const { caracal, calls } = client()
    await caracal.session(async () => {
      await expect(caracal.fetch(world.resource, '/')).rejects.toThrow(/pass scopes/)
    })
    expect(calls.filter((line) => line.includes('gateway'))).toEqual([])
    await caracal.close()
  })
})
