import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seedApplication, seedResource } from '../../fixtures/zone.ts'
import {
  auditEvent,
  auditEvents,
  claimsOf,
  createWorld,
  issuer,
  type TokenAnswer,
  token,
  type World,
} from '../../roles/sts/world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const outcome = (answer: TokenAnswer) => [answer.status, answer.body?.error]

describe('sts §18 session mandate', () => {
  test('15: the worked example, field by field', async () => {
    const answer = await token(world, { scope: 'agent:lifecycle' })
    expect(answer.status).toBe(200)
    expect(Object.keys(answer.body).sort()).toEqual([
      'access_token',
      'expires_in',
      'issued_token_type',
      'scope',
      'target_resources',
      'token_type',
    ])
    const published = await world.sts.app.request(`/.well-known/jwks.json?zone_id=${world.zone.zoneId}`)
    const jwks = (await published.json()) as { keys: { kid: string }[] }
    const header = decodeProtectedHeader(answer.body.access_token)
    expect(header).toEqual({ alg: 'ES256', typ: 'JWT', kid: jwks.keys[0]?.kid })

    const claims = claimsOf(answer.body.access_token)
    const now = Math.floor(Date.now() / 1000)
    expect(claims).toEqual({
      iss: issuer,
      sub: world.zone.application.id,
      aud: [issuer],
      exp: (claims.iat as number) + 900,
      iat: expect.any(Number),
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      zone_id: world.zone.zoneId,
      client_id: world.zone.application.id,
      scope: 'agent:lifecycle',
      sid: expect.any(String),
      root_sid: claims.sid,
      use: 'session',
      sub_type: 'application',
      target: ['resource://nucleus'],
    })
    expect(Math.abs((claims.iat as number) - now)).toBeLessThan(5)
    const rows = await world.db.sql`
      select session_type, parent_id, status, subject_id,
             extract(epoch from expires_at)::float8 as expires, claims_json
      from authority_records where id = ${claims.sid as string}`
    expect([...rows]).toEqual([
      {
        session_type: 'application',
        parent_id: null,
        status: 'active',
        subject_id: world.zone.application.id,
        expires: claims.exp,
        claims_json: null,
      },
    ])
  })

  test('15: an independent JOSE library verifies it with the published key', async () => {
    const answer = await token(world, { scope: 'agent:lifecycle' })
    const jwks = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json?zone_id=${world.zone.zoneId}`), {
      [(await import('jose')).customFetch]: (url: string) => world.sts.app.request(url),
    } as Parameters<typeof createRemoteJWKSet>[1])
    const { payload } = await jwtVerify(answer.body.access_token, jwks, { issuer, audience: issuer })
    expect(payload.use).toBe('session')
  })

  test('17: a business scope beside agent:lifecycle is no bootstrap', async () => {
    const answer = await token(world, { scope: 'agent:lifecycle nucleus:pay' })
    expect(outcome(answer)).toEqual([403, 'access_denied'])
    expect(answer.body.error_description).toBe('policy denied (no_rule_matched)')
    const other = await seedApplication(world.db, world.hasher, world.zone.zoneId)
    const stranger = await token(world, {
      scope: 'agent:lifecycle',
      application_id: other.id,
      client_secret: other.secret,
    })
    expect(outcome(stranger)).toEqual([403, 'access_denied'])
  })

  test('18: without scope nothing is granted; unknown resources are left out', async () => {
    expect(outcome(await token(world))).toEqual([403, 'access_denied'])
    const unknown = await token(world, { scope: 'agent:lifecycle', resource: 'resource://unknown' })
    expect(outcome(unknown)).toEqual([403, 'access_denied'])
    expect(unknown.body.error_description).toBe('policy denied')
    const mixed = await token(world, {
      scope: 'agent:lifecycle',
      resource: ['resource://unknown', 'resource://nucleus'],
    })
    expect(mixed.body.target_resources).toEqual(['resource://nucleus'])
  })

  test('19: without an upstream agent:lifecycle is not implied', async () => {
    const bare = await seedResource(world.db, world.zone.zoneId, {
      providerId: world.zone.providerId,
      upstreamUrl: null,
      scopes: ['x'],
    })
    const answer = await token(
      world,
      { scope: 'agent:lifecycle', resource: bare.identifier },
      { 'x-request-id': 'no-upstream' },
    )
    expect(outcome(answer)).toEqual([403, 'access_denied'])
    await auditEvent(world, 'no-upstream', 'exchange_denied')
    const statuses = (await auditEvents(world, 'no-upstream')).map((event) => event.evaluation_status)
    expect(statuses).toEqual(['scope_mismatch', 'exchange_denied'])
  })
})
