import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  activatePolicy,
  grantsDocument,
  type SeededApplication,
  seedApplication,
  seedResource,
} from '../../fixtures/zone.ts'
import {
  auditEvent,
  claimsOf,
  createWorld,
  type Fields,
  type TokenAnswer,
  token,
  type World,
} from '../../roles/sts/world.ts'

let world: World
let key: SeededApplication
beforeAll(async () => {
  world = await createWorld()
  await seedResource(world.db, world.zone.zoneId, {
    providerId: world.zone.providerId,
    identifier: 'caracal-control',
    upstreamUrl: null,
    scopes: ['control:zone:read', 'control:zone:write'],
  })
  key = await seedApplication(world.db, world.hasher, world.zone.zoneId, {
    traits: ['control:invoke', 'control:scope:control:zone:read', 'control:max-ttl:60'],
  })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const outcome = (answer: TokenAnswer) => [answer.status, answer.body?.error]
const denied = [403, 'access_denied']

const call = (application: SeededApplication, fields: Fields = {}, headers = {}) =>
  token(
    world,
    {
      zone_id: undefined,
      application_id: application.id,
      client_secret: application.secret,
      resource: 'caracal-control',
      scope: 'control:zone:read',
      ...fields,
    },
    headers,
  )

describe('sts §18 control keys', () => {
  test('35: without zone, a granted scope', async () => {
    const answer = await call(key, { ttl_seconds: '300' }, { 'x-request-id': 'control-1' })
    expect(answer.body).toMatchObject({ expires_in: 60, target_resources: ['caracal-control'] })
    const claims = claimsOf(answer.body.access_token)
    expect(claims).toMatchObject({
      aud: ['caracal-control'],
      use: 'resource',
      scope: 'control:zone:read',
      sub: key.id,
      sub_type: 'application',
      target: ['caracal-control'],
      zone_id: world.zone.zoneId,
    })
    expect(claims.root_sid).toBe(claims.sid)
    expect((await auditEvent(world, 'control-1', 'complete')).determining_policies_json).toEqual([
      { policy: 'control-key' },
    ])
    expect((await call(key, { zone_id: world.zone.zoneId })).status).toBe(200)
  })

  test('35: a scope that was not granted', async () => {
    expect(outcome(await call(key, { scope: 'control:zone:write' }))).toEqual(denied)
  })

  test('35: an expired key', async () => {
    const expired = await seedApplication(world.db, world.hasher, world.zone.zoneId, {
      traits: [
        'control:invoke',
        'control:scope:control:zone:read',
        `control:expires:${new Date(Date.now() - 1000).toISOString()}`,
      ],
    })
    expect(outcome(await call(expired))).toEqual(denied)
  })

  test('35: an ordinary application, even with a policy grant', async () => {
    const own = world.zone.application
    await activatePolicy(world.db, world.zone.zoneId, [
      grantsDocument({
        app_ids: { own: own.id },
        grants: { 'caracal-control': { application: 'own', roles: { [own.id]: ['control:zone:read'] } } },
      }),
    ])
    const answer = await call(own, { zone_id: world.zone.zoneId })
    expect(outcome(answer)).toEqual(denied)
  })

  test.each([
    ['a business scope', { scope: 'control:zone:read nucleus:pay' }],
    ['no scope', { scope: undefined }],
    ['another resource', { resource: 'resource://nucleus' }],
    ['a session', { agent_session_id: 'x' }],
    ['a record', { session_id: 'x' }],
    ['a wrong secret', { client_secret: 'wrong' }],
  ])('without zone, %s is 401', async (_, fields) => {
    expect(outcome(await call(key, fields))).toEqual([401, 'access_denied'])
  })
})
