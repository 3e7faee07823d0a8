import { expect, test, vi } from 'vitest'
import { lockSigningKey, readActiveKey } from '../../../src/roles/sts/store/signing-keys.ts'
import { createWorld, postForm, token } from '../../roles/sts/world.ts'

// The world, and with it the test store, starts inside the test.
vi.setConfig({ testTimeout: 60_000 })

test('concurrent first mints on two replicas make one signing key', async () => {
  await using world = await createWorld()
  const replica = await world.replica()
  const mints = await Promise.all(
    [world.sts, replica, world.sts, replica].map((sts) =>
      token({ sts, zone: world.zone }, { scope: 'agent:lifecycle' }),
    ),
  )
  expect(mints.map((answer) => answer.status)).toEqual([200, 200, 200, 200])
  const rows = await world.db.sql`select 1 from secrets where zone_id = ${world.zone.zoneId}`
  expect(rows).toHaveLength(1)
})

test('who began before the first key was made, and waited for it, makes no second one', async () => {
  await using world = await createWorld()
  await world.db.transaction(async (tx) => {
    await tx.sql`select now()`
    expect((await token(world, { scope: 'agent:lifecycle' })).status).toBe(200)
    await lockSigningKey(tx, world.zone.zoneId)
    expect(await readActiveKey(tx, world.zone.zoneId)).not.toBeNull()
  })
})

test('a replica that just found the zone without keys knows the first one another replica makes', async () => {
  await using world = await createWorld()
  const replica = await world.replica()
  const { zone } = world
  expect(await replica.zoneKeys(zone.zoneId)).toBeNull()
  const minted = await token(world, { scope: 'agent:lifecycle' })
  const introspected = await postForm(replica, '/oauth/2/introspect', {
    zone_id: zone.zoneId,
    application_id: zone.application.id,
    client_secret: zone.application.secret,
    token: String(minted.body.access_token),
  })
  expect(introspected.body).toMatchObject({ active: true })
})
