import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Database } from '../../../src/platform/db/port.ts'
import { createRedisEphemera, type RedisEphemera } from '../../../src/platform/ephemera/redis.ts'
import { createRedisClock } from '../../../src/platform/ephemera/redis-clock.ts'
import { leftOfMinute } from '../../fixtures/minute.ts'
import { silent } from '../bus/postgres-store.ts'
import { openRedisServer } from '../bus/redis-server.ts'
import { createRedisStore, redisSettings } from '../bus/redis-store.ts'

const minute = 60_000

describe('windows by the clock of Redis', () => {
  let store: Awaited<ReturnType<typeof createRedisStore>>
  beforeAll(async () => {
    store = await createRedisStore(openRedisServer)
  })
  afterAll(() => store[Symbol.asyncDispose]())

  /** A process on a host whose clock is wrong by `skewMs`. */
  function processAt(skewMs: number): RedisEphemera {
    const now = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + skewMs)
    try {
      // Only the birth of the replay memory asks the database.
      return createRedisEphemera({ url: store.url, db: {} as Database, log: silent, settings: redisSettings })
    } finally {
      now.mockRestore()
    }
  }

  test('processes whose clocks are wrong count together, and agree on the end of the window', async () => {
    const key = 'test:skewed'
    const windowMs = 60 * minute
    await using late = processAt(-5 * windowMs)
    await using right = processAt(0)
    await using early = processAt(7 * windowMs)
    const counters = []
    for (const one of [late, right, early, late, right, early])
      counters.push(await one.countInWindow(key, windowMs))
    expect(counters.map(({ count }) => count)).toEqual([1, 2, 3, 4, 5, 6])
    const left = windowMs - (Date.now() % windowMs)
    for (const { remainingMs } of counters) expect(Math.abs(remainingMs - left)).toBeLessThan(5_000)
  })

  test('the key of a minute is named by it and lives for ninety seconds from its first count', async () => {
    await using here = processAt(0)
    const client = await createClient({ url: store.url }).connect()
    try {
      await leftOfMinute(3_000)
      await here.countInWindow('test:named:127.0.0.1', minute)
      await here.countInWindow('test:named:127.0.0.1', minute)
      const keys = await client.keys('test:named:*')
      expect(keys).toEqual([`test:named:127.0.0.1:${Math.floor(Date.now() / minute)}`])
      expect(await client.get(keys[0] ?? '')).toBe('2')
      const ttl = await client.pTTL(keys[0] ?? '')
      expect(ttl).toBeGreaterThan(80_000)
      expect(ttl).toBeLessThanOrEqual(90_000)
    } finally {
      client.destroy()
    }
  })

  test('a first burst under a wrong clock is counted whole', async () => {
    await using early = processAt(3 * minute)
    const counters = await Promise.all(
      Array.from({ length: 20 }, () => early.countInWindow('test:burst', 60 * minute)),
    )
    expect(counters.map(({ count }) => count).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, n) => n + 1),
    )
  })
})

test('the clock follows what it hears, whatever the host’s own does', () => {
  const clock = createRedisClock()
  expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1_000)
  clock.heard(1_000_000, performance.now())
  const stepped = vi.spyOn(Date, 'now').mockReturnValue(0)
  expect(Math.abs(clock.now() - 1_000_000)).toBeLessThan(1_000)
  stepped.mockRestore()
})
