/** The token endpoint past the app (sts §1.3): each answer is what the app's own route answers. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { StsRole } from '../../../src/roles/sts/index.ts'
import { type Listener, openListener } from '../../../src/server/listener.ts'
import {
  auditEvents,
  createWorld,
  encodeForm,
  gatewayExchange,
  mintGatewayMandate,
  tokenFields,
  type World,
} from './world.ts'

let world: World
let direct: Listener
let through: Listener

beforeAll(async () => {
  world = await createWorld()
  const { app, intercept, limits } = world.sts
  if (intercept === undefined) throw new Error('the role takes nothing itself')
  const common = { name: 'sts', app, limits, host: '127.0.0.1', port: 0, portVariable: 'STS_PORT' }
  direct = await openListener({ ...common, intercept })
  through = await openListener(common)
})
afterAll(async () => {
  await Promise.all([direct?.close(0), through?.close(0)])
  await world?.[Symbol.asyncDispose]()
})

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const minted = new Set(['access_token'])

async function ask({ url }: Listener, body: string, requestId: string, headers: Record<string, string>) {
  const response = await fetch(`${url}/oauth/2/token`, {
    method: 'POST',
    headers: { ...form, 'x-request-id': requestId, ...headers },
    body,
  })
  const answer = (await response.json()) as Record<string, unknown>
  return {
    status: response.status,
    headers: [...response.headers].filter(([name]) => !['date', 'content-length'].includes(name)),
    body: Object.fromEntries(
      Object.entries(answer).map(([name, value]) => [name, minted.has(name) ? typeof value : value]),
    ),
  }
}

describe('sts §1.3, §3: the same answer both ways', () => {
  const lifecycle = { scope: 'agent:lifecycle' }
  const fields = (more: Parameters<typeof tokenFields>[1] = {}) =>
    encodeForm(tokenFields(world, { ...lifecycle, ...more }))
  test.each<[string, number, () => string, Record<string, string>]>([
    ['a mint', 200, () => fields(), {}],
    ['a charset', 200, () => fields(), { 'content-type': `${form['content-type']}; charset=utf-8` }],
    ['another media type', 415, () => fields(), { 'content-type': 'application/json' }],
    ['an empty body', 400, () => '', {}],
    ['a body at the limit', 400, () => 'a'.repeat(65_536), {}],
    ['a body over the limit', 413, () => 'a'.repeat(65_537), {}],
    ['a bad escape', 400, () => '%zz', {}],
    ['a separator', 400, () => 'a=b;c=d', {}],
    ['a repeated field', 400, () => `${fields()}&scope=x`, {}],
    ['another grant', 400, () => fields({ grant_type: 'client_credentials' }), {}],
    ['a wrong secret', 401, () => fields({ client_secret: 'cs_wrong' }), {}],
    ['an unknown resource', 403, () => fields({ resource: 'resource://none', scope: 'x' }), {}],
    ['a claim to be the gateway', 401, () => fields(), { 'x-caracal-gateway-request': 'nonce' }],
  ])('%s', async (_, status, body, headers) => {
    // Of the same length and form, so that nothing else differs.
    const requestId = randomUUID()
    const expected = await ask(through, body(), requestId, headers)
    expect(await ask(direct, body(), requestId, headers)).toEqual(expected)
    expect(expected.status).toBe(status)
    expect(expected.headers).toContainEqual(['x-request-id', requestId])
  })

  test('and what a gateway signed is taken once', async () => {
    const { mandate } = await mintGatewayMandate(world)
    // As `postForm` sends it, past the app instead.
    const app = { request: (path: string, init: RequestInit) => fetch(`${direct.url}${path}`, init) }
    const signed = { ...world, sts: { ...world.sts, app } as unknown as StsRole }
    const nonce = randomUUID()
    expect(await gatewayExchange(signed, mandate, { nonce })).toMatchObject({
      status: 200,
      body: { upstreams: expect.anything() },
    })
    expect((await gatewayExchange(signed, mandate, { nonce })).status).toBe(401)
    expect((await gatewayExchange(signed, mandate, { tamper: (body) => `${body}&x=y` })).status).toBe(401)
  })

  test('and the request id is audited', async () => {
    const requestId = randomUUID()
    expect((await ask(direct, fields(), requestId, {})).status).toBe(200)
    expect(await auditEvents(world, requestId)).toMatchObject([
      { event_type: 'token_exchange', decision: 'allow', evaluation_status: 'complete' },
    ])
  })
})

test('sts §1.2: head and body have five seconds each', { timeout: 20_000 }, async () => {
  const body = encodeForm(tokenFields(world, { scope: 'agent:lifecycle' }))
  const socket = connect(direct.port, '127.0.0.1')
  await once(socket, 'connect')
  const answer = once(socket, 'data')
  socket.write('POST /oauth/2/token HTTP/1.1\r\nhost: x\r\n')
  await sleep(3_500)
  socket.write(`content-type: ${form['content-type']}\r\ncontent-length: ${body.length}\r\n\r\n`)
  await sleep(3_500)
  socket.write(body)
  expect(String(await answer)).toMatch(/^HTTP\/1\.1 200 /)
  socket.destroy()
})
