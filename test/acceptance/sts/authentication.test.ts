import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientSecret, seedApplication, seedBareZone } from '../../fixtures/zone.ts'
import { createWorld, type TokenAnswer, token, type World } from '../../roles/sts/world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const lifecycle = { scope: 'agent:lifecycle' }
const outcome = (answer: TokenAnswer) => [answer.status, answer.body?.error]

describe('sts §18 authentication', () => {
  test('10: wrong secret, unknown application and missing secret are one answer', async () => {
    const answers = await Promise.all([
      token(world, { ...lifecycle, client_secret: 'wrong' }),
      token(world, { ...lifecycle, application_id: 'nobody' }),
      token(world, { ...lifecycle, client_secret: undefined }),
    ])
    const bodies = answers.map(({ status, body: { requestId: _, ...body } }) => ({ status, ...body }))
    expect(bodies[0]).toMatchObject({ status: 401, error: 'access_denied' })
    expect(bodies[1]).toEqual(bodies[0])
    expect(bodies[2]).toEqual(bodies[0])
  })

  test('11: another zone is revealed only to who holds the secret', async () => {
    const other = await seedBareZone(world.db)
    const named = await token(world, { ...lifecycle, zone_id: other })
    expect(outcome(named)).toEqual([403, 'zone_invalid'])
    expect(named.body.error_description).toContain(other)
    expect(named.body.error_description).toContain(world.zone.zoneId)
    const long = await token(world, { ...lifecycle, zone_id: `zone\u202e${'z'.repeat(20_000)}` })
    expect(outcome(long)).toEqual([403, 'zone_invalid'])
    expect(long.body.error_description).toMatch(/^[\x20-\x7e]{1,200}$/)
    expect(outcome(await token(world, { ...lifecycle, zone_id: other, client_secret: 'wrong' }))).toEqual([
      401,
      'access_denied',
    ])
  })

  test('12: an ordinary application must name its zone', async () => {
    expect(outcome(await token(world, { ...lifecycle, zone_id: undefined }))).toEqual([401, 'access_denied'])
  })

  test('13: the 61st failure in a minute blocks the application, and only it', async () => {
    const victim = await seedApplication(world.db, world.hasher, world.zone.zoneId)
    const wrong = { ...lifecycle, application_id: victim.id, client_secret: 'wrong' }
    for (let round = 0; round < 60; round++) expect((await token(world, wrong)).status).toBe(401)
    const crossing = await token(world, wrong)
    expect(outcome(crossing)).toEqual([429, 'provider_rate_limited'])
    expect(Number(crossing.headers.get('retry-after'))).toBeGreaterThan(0)
    const right = await token(world, { ...wrong, client_secret: victim.secret })
    expect(outcome(right)).toEqual([429, 'provider_rate_limited'])
    expect((await token(world, lifecycle)).status).toBe(200)

    // No failure under a block counts, so that none renews it.
    const block = `auth-rl:${createHash('sha256').update(victim.id).digest('hex')}:blocked`
    const until = await world.ephemera.get(block)
    expect(Number(until)).toBeGreaterThan(Date.now())
    const zoneless = { ...wrong, zone_id: undefined }
    for (const again of [wrong, zoneless]) expect((await token(world, again)).status).toBe(429)
    expect(await world.ephemera.get(block)).toBe(until)
  })

  test('14: archived and expired applications are gone', async () => {
    const archived = await seedApplication(world.db, world.hasher, world.zone.zoneId)
    const expired = await seedApplication(world.db, world.hasher, world.zone.zoneId, {
      registrationMethod: 'dcr',
      expiresAt: new Date(Date.now() - 1000),
    })
    await world.db.sql`update applications set archived_at = now() where id = ${archived.id}`
    for (const { id, secret } of [archived, expired]) {
      const answer = await token(world, { ...lifecycle, application_id: id, client_secret: secret })
      expect(outcome(answer)).toEqual([401, 'access_denied'])
    }
  })

  test('14: after a rotation the old secret fails at once, chosen secrets work, unknown formats never do', async () => {
    const { id, secret } = await seedApplication(world.db, world.hasher, world.zone.zoneId)
    const call = (client_secret: string) => token(world, { ...lifecycle, application_id: id, client_secret })
    // Authenticated, and then refused by policy: this application was granted nothing.
    expect((await call(secret)).status).toBe(403)

    const chosen = 'a secret somebody chose, long enough'
    const hash = await world.hasher.hashChosen(chosen)
    expect(hash).toMatch(/^scrypt\$/)
    await world.db.sql`update applications set client_secret_hash = ${hash} where id = ${id}`
    expect((await call(secret)).status).toBe(401)
    expect((await call(chosen)).status).toBe(403)

    const generated = clientSecret()
    expect(world.hasher.hashGenerated(generated)).toMatch(/^hmac-sha256\$/)
    await world.db.sql`
      update applications set client_secret_hash = ${world.hasher.hashGenerated(generated)} where id = ${id}`
    expect((await call(chosen)).status).toBe(401)
    expect((await call(generated)).status).toBe(403)

    await world.db.sql`update applications set client_secret_hash = ${`plain$${generated}`} where id = ${id}`
    expect((await call(generated)).status).toBe(401)
  })
})
