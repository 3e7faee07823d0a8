/** gateway, acceptance checks 49–51: what the STS believes of a gateway's envelope, and of a caller without one. */
import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signGatewayRequest } from '../../../src/roles/sts/gateway-signature.ts'
import {
  accessTokenType,
  createWorld,
  delegatedFields,
  encodeForm,
  type GatewayCall,
  gatewayExchange,
  mintGatewayMandate,
  postForm,
  type TokenAnswer,
  token,
  tokenFields,
  type World,
} from '../../roles/sts/world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world[Symbol.asyncDispose]())

const invalid = {
  error: 'access_denied',
  error_description: 'invalid gateway exchange signature',
}
const outcome = (answer: TokenAnswer) => [
  answer.status,
  { error: answer.body.error, error_description: answer.body.error_description },
]

/** The headers of an exchange signed over other parts than are sent. */
function signedOver(parts: Partial<Parameters<typeof signGatewayRequest>[1]>, key?: Buffer) {
  return async (mandate: string): Promise<TokenAnswer> => {
    const requestId = randomUUID()
    const nonce = randomBytes(32).toString('hex')
    const timestamp = String(Math.floor(Date.now() / 1000))
    const body = encodeForm({
      ...tokenFields(world, { client_secret: undefined }),
      subject_token: mandate,
      subject_token_type: accessTokenType,
      request_method: 'POST',
      request_path: '/pay',
      gateway_request_id: requestId,
    })
    const whole = {
      timestamp,
      nonce,
      method: 'POST',
      path: '/oauth/2/token',
      body: Buffer.from(body),
      ...parts,
    }
    return postForm(world.sts, '/oauth/2/token', body, {
      'x-request-id': requestId,
      'x-caracal-gateway-timestamp': timestamp,
      'x-caracal-gateway-request': nonce,
      'x-caracal-gateway-signature': signGatewayRequest(
        key ?? Buffer.from(world.settings.GATEWAY_STS_HMAC_KEY ?? '', 'hex'),
        whole,
      ),
    })
  }
}

const sent =
  (call: GatewayCall) =>
  (mandate: string): Promise<TokenAnswer> =>
    gatewayExchange(world, mandate, call)
const now = (): number => Math.floor(Date.now() / 1000)

describe('49: the envelope', () => {
  test('is believed as it was signed, within a minute', async () => {
    const { mandate } = await mintGatewayMandate(world)
    expect((await signedOver({})(mandate)).status).toBe(200)
    for (const offset of [-58, 58]) {
      const young = await mintGatewayMandate(world)
      expect((await gatewayExchange(world, young.mandate, { timestamp: now() + offset })).status).toBe(200)
    }
  })

  test.each<[string, (mandate: string) => Promise<TokenAnswer>]>([
    ['another byte in the body', (mandate) => sent({ tamper: (body) => `${body}0` })(mandate)],
    ['another path', signedOver({ path: '/oauth/2/token/' })],
    ['another method', signedOver({ method: 'PUT' })],
    ['another nonce', signedOver({ nonce: 'cd'.repeat(32) })],
    ['another time', signedOver({ timestamp: '1790000000' })],
    ['an unknown key', signedOver({}, randomBytes(32))],
    ['61 s ago', (mandate) => sent({ timestamp: now() - 61 })(mandate)],
    ['62 s ahead', (mandate) => sent({ timestamp: now() + 62 })(mandate)],
    ['no time', sent({ headers: { 'x-caracal-gateway-timestamp': null } })],
    ['no nonce', sent({ headers: { 'x-caracal-gateway-request': null } })],
    ['no signature', sent({ headers: { 'x-caracal-gateway-signature': null } })],
    ['another request id', sent({ headers: { 'x-request-id': 'another' } })],
  ])('%s is refused', async (_, attempt) => {
    const { mandate } = await mintGatewayMandate(world)
    expect(outcome(await attempt(mandate))).toEqual([401, invalid])
  })

  test('a nonce is good once', async () => {
    const nonce = 'ef'.repeat(32)
    const { mandate } = await mintGatewayMandate(world)
    expect((await gatewayExchange(world, mandate, { nonce })).status).toBe(200)
    expect(outcome(await gatewayExchange(world, mandate, { nonce }))).toEqual([401, invalid])
  })
})

test('50: without a signature the fields of a gateway mean nothing, and no upstream is named', async () => {
  const { delegation } = await mintGatewayMandate(world)
  const answer = await token(world, {
    ...delegatedFields(delegation),
    request_method: 'GET',
    request_path: '/not-declared',
    gateway_request_id: 'x',
  })
  expect(answer.status).toBe(200)
  expect(answer.body).not.toHaveProperty('upstreams')
})

test('51: an unsigned exchange of a gateway mandate is refused', async () => {
  const { mandate } = await mintGatewayMandate(world)
  const answer = await token(world, { subject_token: mandate, subject_token_type: accessTokenType })
  expect(answer.status).toBe(401)
  expect(answer.body).not.toHaveProperty('access_token')
})
