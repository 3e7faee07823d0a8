import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createIdentityIssuer, type IdentityIssuer } from '../../roles/sts/identity-issuer.ts'
import {
  auditEvent,
  claimsOf,
  createWorld,
  issuer,
  type TokenAnswer,
  token,
  type World,
} from '../../roles/sts/world.ts'

let world: World
let idp: IdentityIssuer
beforeAll(async () => {
  idp = await createIdentityIssuer()
  world = await createWorld({}, idp.server.egress)
  await idp.trust(world.db, world.zone.zoneId)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await idp[Symbol.asyncDispose]()
})

const idTokenType = 'urn:ietf:params:oauth:token-type:id_token'
const federate = (idToken: string, fields = {}) =>
  token(world, { resource: undefined, subject_token: idToken, subject_token_type: idTokenType, ...fields })
const outcome = (answer: TokenAnswer) => [answer.status, answer.body?.error]

describe('sts §18 federation', () => {
  test('36: a trusted id_token becomes a user session', async () => {
    const answer = await federate(await idp.idToken())
    expect(answer.status).toBe(200)
    expect(Object.keys(answer.body).sort()).toEqual([
      'access_token',
      'expires_in',
      'issued_token_type',
      'token_type',
    ])
    const claims = claimsOf(answer.body.access_token)
    expect(claims).toEqual({
      iss: issuer,
      sub: 'auth0|507f',
      aud: [issuer],
      exp: (claims.iat as number) + 900,
      iat: expect.any(Number),
      jti: expect.any(String),
      zone_id: world.zone.zoneId,
      client_id: world.zone.application.id,
      sid: expect.any(String),
      root_sid: claims.sid,
      use: 'session',
      sub_type: 'user',
    })
    const rows = await world.db.sql`
      select session_type, subject_id, claims_json from authority_records where id = ${claims.sid as string}`
    expect([...rows]).toEqual([
      { session_type: 'user', subject_id: 'auth0|507f', claims_json: { iss: idp.name } },
    ])
  })

  test('36: it takes no resource, scope, session or approval', async () => {
    const idToken = await idp.idToken()
    for (const fields of [
      { resource: 'resource://nucleus' },
      { scope: 'nucleus:pay' },
      { session_id: 'x' },
      { agent_session_id: 'x' },
      { delegation_edge_id: 'x' },
      { approval_id: 'x' },
      { ttl_seconds: '3601' },
    ]) {
      expect(outcome(await federate(idToken, fields))).toEqual([400, 'invalid_token'])
    }
  })

  test('36: whatever is wrong with the token is one answer', async () => {
    const now = Math.floor(Date.now() / 1000)
    const hs256 = await new SignJWT({ iss: idp.name, aud: idp.audience, sub: 'x', exp: now + 60 })
      .setProtectedHeader({ alg: 'HS256', kid: 'idp-1' })
      .sign(new Uint8Array(32))
    const tokens = {
      issuer_not_trusted: await idp.idToken({ iss: 'https://evil.example/' }),
      token_invalid: await idp.idToken({ aud: 'another' }),
      'token_invalid, expired': await idp.idToken({ exp: now - 61 }),
      'token_invalid, no exp': await idp.idToken({ exp: undefined }),
      'token_invalid, hs256': hs256,
      issued_in_the_future: await idp.idToken({ iat: now + 120 }),
      kid_unknown: await idp.idToken({}, { kid: 'other' }),
      issuer_or_kid_missing: await idp.idToken({}, { kid: undefined }),
      token_malformed: 'not a token',
      subject_missing: await idp.idToken({ sub: undefined }),
      subject_reserved: await idp.idToken({ sub: 'caracal:shared' }),
      subject_has_outer_whitespace: await idp.idToken({ sub: 'joe ' }),
      subject_has_forbidden_characters: await idp.idToken({ sub: 'jo\u202ee' }),
      subject_too_long: await idp.idToken({ sub: 'x'.repeat(513) }),
    }
    for (const [name, idToken] of Object.entries(tokens)) {
      const requestId = `federation-${name.replaceAll(/[^a-z0-9]+/g, '-')}`
      const answer = await token(
        world,
        { resource: undefined, subject_token: idToken, subject_token_type: idTokenType },
        { 'x-request-id': requestId },
      )
      expect([name, ...outcome(answer)]).toEqual([name, 401, 'invalid_token'])
      const event = await auditEvent(world, requestId, 'subject_federation_rejected')
      expect(event.metadata_json.reason).toBe(name.split(',')[0])
    }
  })

  test('36: the key set is fetched once and kept', async () => {
    await federate(await idp.idToken())
    const before = idp.server.requests()
    await Promise.all([federate(await idp.idToken()), federate(await idp.idToken())])
    expect(idp.server.requests()).toBe(before)
  })

  test.each(['https://localhost/jwks', 'https://127.0.0.1/jwks', 'https://169.254.169.254/jwks'])(
    '37: a key set at %s is never asked for',
    async (jwksUrl) => {
      await world.db.sql`
        update subject_issuers set jwks_url = ${jwksUrl}, updated_at = now() where zone_id = ${world.zone.zoneId}`
      expect(outcome(await federate(await idp.idToken()))).toEqual([401, 'invalid_token'])
    },
  )

  test('an archived issuer is not trusted any more', async () => {
    await world.db.sql`update subject_issuers set archived_at = now() where zone_id = ${world.zone.zoneId}`
    expect(outcome(await federate(await idp.idToken()))).toEqual([401, 'invalid_token'])
  })
})
