import { decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seedBareZone } from '../../fixtures/zone.ts'
import {
  accessTokenType,
  createWorld,
  gatewayExchange,
  issuer,
  mintGatewayMandate,
  token,
  type World,
} from '../../roles/sts/world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld({ STS_ADMIN_TOKEN: 'rotate-me' })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

interface Jwks {
  readonly keys: readonly Record<string, string>[]
}

async function jwks(zoneId?: string, sts = world.sts) {
  const response = await sts.app.request(
    `/.well-known/jwks.json${zoneId === undefined ? '' : `?zone_id=${zoneId}`}`,
  )
  return { status: response.status, headers: response.headers, body: (await response.json()) as Jwks }
}

const rotate = (zoneId: string, query = '', bearer = 'rotate-me') =>
  world.sts.app.request(`/internal/zones/${zoneId}/signing-key/rotate${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}` },
  })

const kidOf = (accessToken: string) => decodeProtectedHeader(accessToken).kid
const mint = async (sts = world.sts) =>
  (await token({ sts, zone: world.zone }, { scope: 'agent:lifecycle' })).body.access_token as string

describe('sts §18 signing keys', () => {
  test('54: one zone, an unknown zone, the union', async () => {
    expect((await jwks(world.zone.zoneId)).status).toBe(404)
    await mint()
    const answer = await jwks(world.zone.zoneId)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('cache-control')).toBe('public, max-age=300, must-revalidate')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.body.keys).toHaveLength(1)
    expect(Object.keys(answer.body.keys[0] ?? {}).sort()).toEqual([
      'alg',
      'crv',
      'kid',
      'kty',
      'use',
      'x',
      'y',
    ])
    expect(answer.body.keys[0]).toMatchObject({ kty: 'EC', crv: 'P-256', use: 'sig', alg: 'ES256' })
    expect((await jwks('nowhere')).status).toBe(404)
    const union = (await jwks()).body.keys.filter((key) => key.zone_id === world.zone.zoneId)
    expect(union).toEqual([{ ...answer.body.keys[0], zone_id: world.zone.zoneId }])
    const strict = await world.replica({ STS_JWKS_REQUIRE_ZONE: true })
    expect((await jwks(undefined, strict)).status).toBe(400)
  })

  test('55: rotation', async () => {
    const hidden = await world.replica({ STS_ADMIN_TOKEN: null })
    const path = `/internal/zones/${world.zone.zoneId}/signing-key/rotate`
    expect((await hidden.app.request(path, { method: 'POST' })).status).toBe(404)
    const wrong = await rotate(world.zone.zoneId, '', 'wrong')
    expect([wrong.status, wrong.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="caracal-sts"'])
    for (const unknown of ['nowhere', 'a%00b']) expect((await rotate(unknown)).status).toBe(404)

    const replica = await world.replica()
    const { mandate } = await mintGatewayMandate(world)
    const session = await mint()
    const answer = await rotate(world.zone.zoneId, '?immediate=true')
    const rotated = (await answer.json()) as { kid: string }
    expect([answer.status, rotated]).toEqual([
      200,
      { rotated: true, zone_id: world.zone.zoneId, kid: expect.any(String) },
    ])
    expect(kidOf(await mint())).toBe(rotated.kid)
    expect(kidOf(await mint(replica))).toBe(rotated.kid)
    const kids = (await jwks(world.zone.zoneId)).body.keys.map((key) => key.kid)
    expect(kids).toEqual([rotated.kid, kidOf(session)])

    // The old key's mandate still trades, on every replica, and so does the new key's.
    expect((await gatewayExchange(world, mandate)).status).toBe(200)
    const young = await mintGatewayMandate(world)
    expect((await gatewayExchange({ ...world, sts: replica }, young.mandate)).status).toBe(200)

    await world.db.sql`
      update secrets set active_from = now() - interval '25 hours'
      where zone_id = ${world.zone.zoneId} and id = ${rotated.kid}`
    expect((await jwks(world.zone.zoneId)).body.keys.map((key) => key.kid)).toEqual([rotated.kid])
    const outbox = await world.db.sql`
      select payload_json from caracal_outbox where topic = 'caracal.keys.invalidate' and dedupe_key = ${rotated.kid}`
    expect([...outbox]).toEqual([{ payload_json: { zone_id: world.zone.zoneId, kid: rotated.kid } }])
  })

  test('55: an ordinary rotation publishes first and signs later', async () => {
    const before = kidOf(await mint())
    const { kid } = (await (await rotate(world.zone.zoneId)).json()) as { kid: string }
    expect(kidOf(await mint())).toBe(before)
    const kids = (await jwks(world.zone.zoneId)).body.keys.map((key) => key.kid)
    expect(kids.slice(0, 2)).toEqual([before, kid])
    await world.db.sql`update secrets set active_from = now() where id = ${kid}`
    expect(kidOf(await mint())).toBe(kid)
  })

  test('a key that cannot be opened is skipped; none left is 500', async () => {
    const zoneId = await seedBareZone(world.db)
    await world.db.sql`
      insert into secrets (id, zone_id, entity_id, name, type, envelope)
      values (${`broken-${zoneId}`}, ${zoneId}, ${zoneId}, 'zone_signing_key', 'token', ${Buffer.alloc(120)})`
    expect((await jwks(zoneId)).status).toBe(500)
    expect((await jwks()).body.keys.some((key) => key.zone_id === zoneId)).toBe(false)
  })

  test('a token of another zone or with a foreign key is not ours', async () => {
    const session = await mint()
    const [header, payload, signature] = session.split('.') as [string, string, string]
    const flipped = `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
    for (const subject_token of [flipped, `${header}.${payload}`, 'x.y.z']) {
      const answer = await token(world, { subject_token, subject_token_type: accessTokenType })
      expect([answer.status, answer.body.error]).toEqual([401, 'invalid_token'])
    }
  })

  test('metadata names the endpoints under the issuer', async () => {
    const response = await world.sts.app.request('/.well-known/oauth-authorization-server')
    expect(await response.json()).toMatchObject({
      issuer,
      token_endpoint: `${issuer}/oauth/2/token`,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
    })
  })
})
