/** sdk-cli-console §16, check 15 and its neighbours: the SDK and a real server, with a network between them that fails. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AdminClient } from '../../../src/admin/index.ts'
import { Caracal, type CaracalEvent } from '../../../src/sdk/index.ts'
import { createWorld, openStage, type Stage, type World } from './stage.ts'
import { type Loss, openUnreliableProxy, type UnreliableProxy } from './unreliable-proxy.ts'

let stage: Stage
let world: World
const proxies = {} as Record<'sts' | 'coordinator' | 'gateway', UnreliableProxy>
let caracal: Caracal
let events: CaracalEvent[]
let admin: AdminClient

beforeAll(async () => {
  stage = await openStage()
  world = await createWorld(stage)
  admin = new AdminClient({
    apiUrl: stage.urls.control,
    adminToken: stage.adminToken,
    coordinatorUrl: stage.urls.coordinator,
    coordinatorToken: stage.coordinatorToken,
  })
  for (const role of ['sts', 'coordinator', 'gateway'] as const)
    proxies[role] = await openUnreliableProxy(stage.urls[role])
})
afterAll(async () => {
  for (const proxy of Object.values(proxies)) await proxy[Symbol.asyncDispose]()
  await stage?.[Symbol.asyncDispose]()
})

const overProxies = (): Caracal =>
  Caracal.fromClientSecret({
    ...world,
    stsUrl: proxies.sts.url,
    coordinatorUrl: proxies.coordinator.url,
    gatewayUrl: proxies.gateway.url,
    resources: [world.resource],
    logger: () => undefined,
  })

beforeEach(() => {
  for (const proxy of Object.values(proxies)) {
    proxy.forwarded.length = 0
    proxy.lose(() => false)
  }
  stage.upstream.seen.length = 0
  events = []
  caracal = overProxies()
  caracal.onEvent((event) => events.push(event))
})
afterEach(() => caracal.close())

async function call(): Promise<number> {
  const send = caracal.applicationTransport(world.resource, { scopes: ['x:read'] })
  const response = await send(caracal.gatewayRequest(world.resource, '/').url)
  await response.text()
  return response.status
}

const sessions = async () =>
  (await stage.admin('GET', `/zones/${world.zoneId}/sessions`)).items as {
    session_id: string
    status: string
  }[]
const active = async () => (await sessions()).filter(({ status }) => status === 'active').length
const isToken = (line: string) => line.startsWith('POST /oauth/2/token')
const isStart = (line: string) => /^POST .*\/agents$/.test(line)
const isDelegation = (line: string) => /^POST .*\/delegations$/.test(line)
const isEnd = (line: string) => line.startsWith('DELETE ')
const isAnything = () => true

const losses: readonly Loss[] = ['refuse', 'lose', 'half', '503']

describe('15: a start is one session, whatever happens to the answer', () => {
  it.each(losses.flatMap((loss) => [{ lost: [loss] }, { lost: [loss, loss] }]))('$lost', async ({ lost }) => {
    const before = (await sessions()).length
    proxies.coordinator.lose(isStart, ...lost)
    const id = await caracal.session(({ sessionId }) => sessionId)
    const made = (await sessions()).slice(0, (await sessions()).length - before)
    expect(made.map((one) => one.status)).toEqual(['terminated'])
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    const reached = lost.filter((one) => one === 'lose' || one === 'half').length + 1
    expect(proxies.coordinator.forwarded.filter(isStart)).toHaveLength(reached)
  })
})

describe('an exchange is sent once and never again', () => {
  it.each(losses)('%s', async (loss) => {
    proxies.sts.lose(isToken, loss)
    await expect(call()).rejects.toThrow()
    expect(proxies.sts.forwarded.filter(isToken)).toHaveLength(loss === 'lose' || loss === 'half' ? 1 : 0)
    expect(events.filter(({ type }) => type === 'token.exchange')).toHaveLength(1)
    expect(await active()).toBe(0)
    expect(await call()).toBe(200)
  })

  it.each(losses)(
    '%s of the mandate: the request never leaves, the sessions serve the next one',
    async (loss) => {
      expect(await call()).toBe(200)
      proxies.sts.lose(isToken, loss)
      await expect(call()).rejects.toThrow()
      expect(stage.upstream.seen).toHaveLength(1)
      expect(await call()).toBe(200)
      await caracal.close()
      expect(await active()).toBe(0)
    },
  )
})

describe('authority that could not be finished is taken back', () => {
  it.each(losses)('%s of the delegation', async (loss) => {
    proxies.coordinator.lose(isDelegation, loss)
    await expect(call()).rejects.toThrow()
    expect(await active()).toBe(0)
    expect(await call()).toBe(200)
    await caracal.close()
    expect(await active()).toBe(0)
  })
})

describe('the gateway', () => {
  it.each(losses)('%s: the upstream hears of a request at most once', async (loss) => {
    await call()
    stage.upstream.seen.length = 0
    proxies.gateway.lose(isAnything, loss)
    const outcome = await call().catch(() => 'error')
    expect(outcome).toBe(loss === '503' ? 503 : 'error')
    expect(stage.upstream.seen).toHaveLength(loss === 'lose' || loss === 'half' ? 1 : 0)
    expect(await call()).toBe(200)
  })

  it('an answer that hangs ends with the time limit of the call', async () => {
    await call()
    proxies.gateway.lose(isAnything, 'hang')
    const began = performance.now()
    await expect(
      caracal.applicationTransport(world.resource, { scopes: ['x:read'], timeoutMs: 300 })(
        caracal.gatewayRequest(world.resource, '/').url,
      ),
    ).rejects.toThrow(/time/i)
    expect(performance.now() - began).toBeLessThan(3000)
  })
})

describe('close()', () => {
  it.each(losses)('settles when an end is answered with %s', async (loss) => {
    await call()
    proxies.coordinator.lose(isEnd, loss)
    const began = performance.now()
    await caracal.close()
    expect(performance.now() - began).toBeLessThan(5000)
    // What reached the coordinator ended; what was refused on the way ends with its time to live.
    expect(await active()).toBe(loss === 'lose' || loss === 'half' ? 0 : 1)
    for (const { session_id: id, status } of await sessions())
      if (status === 'active') await admin.sessions.terminate(world.zoneId, id)
  })

  it('in the middle of anything leaves no session', async () => {
    for (const pauseMs of [0, 3, 6, 10, 15, 25, 40]) {
      const one = overProxies()
      const send = one.applicationTransport(world.resource, { scopes: ['x:read'] })
      const going = send(one.gatewayRequest(world.resource, '/').url).then(
        (response) => response.text(),
        () => undefined,
      )
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
      await one.close()
      await going
      expect([pauseMs, await active()]).toEqual([pauseMs, 0])
    }
  })
})
