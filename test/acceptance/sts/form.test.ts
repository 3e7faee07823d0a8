import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  auditEvents,
  createWorld,
  encodeForm,
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
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const lifecycle = { scope: 'agent:lifecycle' }

function expectError(answer: TokenAnswer, status: number, error: string): void {
  expect([answer.status, answer.body?.error]).toEqual([status, error])
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
  expect(answer.headers.get('x-request-id')).toBe(answer.body.requestId)
  expect(answer.headers.get('cache-control')).toBe('no-store')
}

describe('sts §18 form and request validation', () => {
  test('1: credentials never travel in the URL', async () => {
    expectError(
      await postForm(world.sts, '/oauth/2/token?zone_id=zone-1', tokenFields(world, lifecycle)),
      400,
      'invalid_token',
    )
  })

  test('2: the media type must be a form, parameters are allowed', async () => {
    expectError(await token(world, lifecycle, { 'content-type': 'application/json' }), 415, 'invalid_token')
    const withCharset = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
    expect((await token(world, lifecycle, withCharset)).status).toBe(200)
  })

  test('3: a body over 64 KiB is too large, a bad escape is malformed', async () => {
    expectError(await postForm(world.sts, '/oauth/2/token', 'a'.repeat(65_537)), 413, 'payload_too_large')
    expectError(await postForm(world.sts, '/oauth/2/token', '%zz'), 400, 'invalid_token')
    expectError(await postForm(world.sts, '/oauth/2/token', 'a=b;c=d'), 400, 'invalid_token')
  })

  test('4: only resource may repeat', async () => {
    const twice = `${encodeForm(tokenFields(world, lifecycle))}&scope=agent:lifecycle`
    const refused = await postForm(world.sts, '/oauth/2/token', twice)
    expectError(refused, 400, 'invalid_token')
    expect(refused.body.error_description).toContain('scope')
    const resources = [world.zone.resource.identifier, 'resource://other']
    expect((await token(world, { ...lifecycle, resource: resources })).status).toBe(200)
  })

  test('5: resources are trimmed, distinct and sorted; an empty one is refused', async () => {
    expectError(await token(world, { ...lifecycle, resource: ' ' }), 400, 'invalid_token')
    const { identifier, id } = world.zone.resource
    const answer = await token(world, { ...lifecycle, resource: [identifier, ` ${identifier} `, id] })
    expect(answer.body.target_resources).toEqual([identifier])
  })

  test.each([
    ['6: another grant', { grant_type: 'client_credentials' }],
    [
      '6: another token type',
      { subject_token: 'x', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' },
    ],
    ['6: a token without type', { subject_token: 'x' }],
    ['6: a type without token', { subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' }],
    ['7: actor_token, even empty', { actor_token: '' }],
    ['7: client_assertion', { client_assertion: 'x' }],
    ['7: client_assertion_type', { client_assertion_type: 'x' }],
    ['8: a ttl that is no number', { ttl_seconds: 'abc' }],
    ['8: a negative ttl', { ttl_seconds: '-1' }],
    ['8: a ttl over the cap', { ttl_seconds: '3601' }],
    ['8: a ttl over every cap', { ttl_seconds: '9'.repeat(400) }],
  ])('%s is refused', async (_, fields) => {
    expectError(await token(world, { ...lifecycle, ...fields }), 400, 'invalid_token')
  })

  test('8: the longest ttl and the default', async () => {
    expect((await token(world, { ...lifecycle, ttl_seconds: '3600' })).body.expires_in).toBe(3600)
    expect((await token(world, { ...lifecycle, ttl_seconds: '000000000060' })).body.expires_in).toBe(60)
    expect((await token(world, lifecycle)).body.expires_in).toBe(900)
  })

  test('nobody on the way keeps what is secret or about to change; what is published may be kept', async () => {
    const paths = ['/oauth/2/token', '/oauth/2/introspect', '/oauth/2/revoke', '/v1/run/credential']
    const asked = [`/approvals/${crypto.randomUUID()}`, '/.well-known/oauth-authorization-server']
    const answers = [
      await token(world, lifecycle),
      ...(await Promise.all(paths.map((path) => postForm(world.sts, path, '')))),
      ...(await Promise.all(asked.map((path) => world.sts.app.request(path)))),
    ]
    expect(answers.map(({ headers }) => headers.get('cache-control'))).toEqual([
      ...Array(6).fill('no-store'),
      'public, max-age=300, must-revalidate',
    ])
  })

  test('9: GET is 405, and the request id is echoed and audited', async () => {
    const get = await world.sts.app.request('/oauth/2/token')
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST'])
    expect(get.headers.get('x-request-id')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
    const answer = await token(world, lifecycle, { 'x-request-id': 'abc' })
    expect(answer.headers.get('x-request-id')).toBe('abc')
    expect(await auditEvents(world, 'abc')).toMatchObject([
      { event_type: 'token_exchange', decision: 'allow', evaluation_status: 'complete' },
    ])
  })
})
