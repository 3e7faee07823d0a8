/** An exchange on what the last one read: only mandates come of it, and none that a fresh read would refuse (design §3). */
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  activatePolicy,
  grantsDocument,
  type SeededDelegation,
  sealProviderSecrets,
  seedDelegation,
} from '../../fixtures/zone.ts'
import {
  auditEvent,
  auditEvents,
  claimsOf,
  createWorld,
  delegatedFields,
  type Fields,
  type TokenAnswer,
  token,
  type World,
} from './world.ts'

let world: World
let delegation: SeededDelegation
beforeEach(async () => {
  world = await createWorld({ STS_MINT_RATE_LIMIT_PER_MIN: 6 })
  delegation = await seedDelegation(world.db, world.zone)
  // The first mandate of a zone makes its signing key, which is a change.
  expect(await token(world, { scope: 'agent:lifecycle' })).toMatchObject({ status: 200 })
})
afterEach(async () => {
  await world[Symbol.asyncDispose]()
})

const mint = (fields: Fields = {}, requestId: string = crypto.randomUUID()): Promise<TokenAnswer> =>
  token(world, { ...delegatedFields(delegation), ...fields }, { 'x-request-id': requestId })

const call = (mandate: string) =>
  world.sts.exchangeForGateway(
    {
      requestId: crypto.randomUUID(),
      zoneId: world.zone.zoneId,
      applicationId: world.zone.application.id,
      mandate,
      verifiedClaims: claimsOf(mandate),
      resource: world.zone.resource.identifier,
      method: 'POST',
      path: '/pay',
    },
    new AbortController().signal,
  )

/** How many exchanges were decided on what was remembered, and how many of those had to be made again. */
async function remembered(): Promise<{ proved: number; outdated: number }> {
  const text = await (await world.sts.app.request('/metrics')).text()
  const read = (name: string) => Number(new RegExp(`^caracal_sts_${name} (\\d+)`, 'm').exec(text)?.[1])
  return { proved: read('remembered_exchanges_total'), outdated: read('remembered_outdated_total') }
}

test('the second mint and the call read nothing, and are what the first was', async () => {
  const first = await mint()
  const requestId = crypto.randomUUID()
  const second = await mint({}, requestId)
  expect(second.status).toBe(200)
  expect(await call(second.body.access_token)).toMatchObject({ ok: true })
  expect(await remembered()).toEqual({ proved: 2, outdated: 0 })

  const { iat, exp, jti, sid, root_sid, ...lasting } = claimsOf(second.body.access_token)
  expect(claimsOf(first.body.access_token)).toMatchObject(lasting)
  expect(sid).not.toBe(claimsOf(first.body.access_token).sid)
  const events = await auditEvents(world, requestId)
  expect(events.map(({ decision, evaluation_status }) => [decision, evaluation_status])).toEqual([
    ['allow', 'complete'],
  ])
})

const changes: Readonly<Record<string, () => PromiseLike<unknown>>> = {
  'the application': () => world.db.sql`
    update applications set name = 'renamed' where id = ${world.zone.application.id}`,
  'the resource': () => world.db.sql`
    update resources set name = 'renamed' where id = ${world.zone.resource.id}`,
  'the provider': () => world.db.sql`
    update providers set updated_at = now() where id = ${world.zone.providerId}`,
  'the credential of the provider': () =>
    sealProviderSecrets(world.db, world.cipher, world.zone.zoneId, world.zone.providerId, { api_key: 'k2' }),
  'the policy': () =>
    activatePolicy(world.db, world.zone.zoneId, [
      grantsDocument({
        app_ids: { a: world.zone.application.id },
        grants: {
          [world.zone.resource.identifier]: {
            application: 'a',
            roles: { [world.zone.application.id]: ['nucleus:pay'] },
          },
        },
      }),
    ]),
  'the zone': () => world.db.sql`update zones set updated_at = now() where id = ${world.zone.zoneId}`,
  'the delegation': () => world.db.sql`
    update delegation_edges set updated_at = now() where id = ${delegation.edgeId}`,
  'the graph epoch': () => world.db.sql`
    update delegation_graph_epochs set epoch = epoch + 1 where zone_id = ${world.zone.zoneId}`,
}

test.each(Object.entries(changes))('%s has changed: it is read again', async (_, change) => {
  await mint()
  await change()
  expect(await mint()).toMatchObject({ status: 200 })
  expect(await remembered()).toEqual({ proved: 0, outdated: 1 })
})

test('a policy that is in force already is not exchanged for the remembered one', async () => {
  await mint()
  await changes['the policy']?.()
  const other = await seedDelegation(world.db, world.zone)
  await token(world, delegatedFields(other))
  const compiled = async () =>
    /^caracal_sts_opa_compile_total (\d+)/m.exec(await (await world.sts.app.request('/metrics')).text())?.[1]
  const before = await compiled()
  expect(await mint()).toMatchObject({ status: 200 })
  expect(await compiled()).toBe(before)
})

test('a new signing key that signs at once signs the next mandate', async () => {
  const kidOf = (answer: TokenAnswer) =>
    JSON.parse(Buffer.from(answer.body.access_token.split('.')[0], 'base64url').toString()).kid
  const before = kidOf(await mint())
  await world.db.sql`
    insert into secrets (id, zone_id, entity_id, name, type, envelope, version)
    select 'next-' || id, zone_id, entity_id, name, type, envelope, version + 1
    from secrets where id = ${before}`
  expect(kidOf(await mint())).toBe(`next-${before}`)
})

test('another zone changes nothing here', async () => {
  await mint()
  await world.db.sql`insert into zones (id, name, slug) values ('other', 'other', 'other')`
  await mint()
  expect(await remembered()).toEqual({ proved: 1, outdated: 0 })
})

test('another secret is never remembered: it is judged, and counted once', async () => {
  await mint()
  const answer = await mint({ client_secret: 'wrong' })
  expect(answer).toMatchObject({ status: 401 })
  const failures = await world.db.sql<{ counter: string }[]>`
    select counter from ephemera where key like '%auth-rl:%'`
  expect(failures.map(({ counter }) => Number(counter))).toEqual([1])
  expect(await remembered()).toEqual({ proved: 0, outdated: 0 })
})

test('a refusal is decided on a fresh read, and told once', async () => {
  await mint()
  const requestId = crypto.randomUUID()
  expect(await mint({ scope: 'nucleus:other' }, requestId)).toMatchObject({ status: 403 })
  await auditEvent(world, requestId, 'reference_invalid')
  expect(await auditEvents(world, requestId)).toHaveLength(1)
  expect(await remembered()).toEqual({ proved: 0, outdated: 0 })
})

test('a mint that is made again uses the limit once', async () => {
  for (let made = 0; made < 5; made += 1) {
    expect(await mint()).toMatchObject({ status: 200 })
    await world.db.sql`update applications set updated_at = now() where id = ${world.zone.application.id}`
  }
  expect(await mint()).toMatchObject({ status: 429 })
})
