import { describe } from 'vitest'
import { createRedisEphemera } from '../../../src/platform/ephemera/redis.ts'
import { createTestDatabase } from '../../fixtures/database.ts'
import { silent } from '../bus/postgres-store.ts'
import {
  type OwnRedis,
  openRedisServer,
  type RedisServer,
  redisBinary,
  startRedis,
  testRedisUrl,
} from '../bus/redis-server.ts'
import { createRedisStore, redisSettings } from '../bus/redis-store.ts'
import { type EphemeraStore, ephemeraContract } from './contract.ts'

async function createStore(
  identified: boolean,
  openServer: () => Promise<RedisServer>,
  losses: (server: RedisServer) => EphemeraStore['losses'],
): Promise<EphemeraStore> {
  const database = await createTestDatabase()
  const store = await createRedisStore(openServer)
  return {
    identified,
    async open() {
      const ephemera = createRedisEphemera({
        url: store.url,
        db: database.db,
        log: silent,
        settings: redisSettings,
      })
      await ephemera.ping()
      return ephemera
    },
    cut: store.cut,
    restore: store.restore,
    drop: store.drop,
    losses: losses(store.server),
    async now() {
      const [row] = await database.admin<{ ms: number }[]>`
        select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`
      return row?.ms ?? 0
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}

const flushed = (server: RedisServer) => ({ flush: () => server.flush() })
const real = testRedisUrl() !== undefined

ephemeraContract(real ? 'Redis' : 'the double of a Redis', () => createStore(real, openRedisServer, flushed))

describe.skipIf(redisBinary() === undefined)('with a server that restarts', () => {
  for (const appendOnly of [false, true]) {
    ephemeraContract(`a Redis ${appendOnly ? 'with' : 'without'} append-only file`, () =>
      createStore(
        true,
        () => startRedis({ appendOnly }),
        (server) => ({ ...flushed(server), restart: () => (server as OwnRedis).restart() }),
      ),
    )
  }
})
