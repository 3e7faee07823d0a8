import { expect, test } from 'vitest'
import { provisionStandingGroups, standingGroups } from '../../../src/platform/bus/standing-groups.ts'
import { createPostgresStore } from './postgres-store.ts'
import { createRedisStore } from './redis-store.ts'

test('on Redis every standing group exists after provisioning, and provisioning again changes nothing', async () => {
  await using store = await createRedisStore()
  await using bus = await store.open()
  await provisionStandingGroups(bus)
  await provisionStandingGroups(bus)
  for (const { stream, group } of standingGroups) {
    expect(await bus.group(stream, group).stats(), `${stream} ${group}`).toMatchObject({ pending: 0 })
  }
})

test('on Postgres a group nobody reads is not made', async () => {
  await using store = await createPostgresStore()
  await using bus = await store.open()
  await provisionStandingGroups(bus)
  expect(await store.admin`select 1 from bus_cursor`).toHaveLength(0)
})
