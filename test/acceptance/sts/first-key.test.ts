import { expect, test, vi } from 'vitest'
import { createWorld, token } from '../../roles/sts/world.ts'

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
