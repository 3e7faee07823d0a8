import { createRedisBus } from '../../../src/platform/bus/redis.ts'
import type { BusStore } from './contract.ts'
import { createCuttableProxy } from './cuttable-proxy.ts'
import { silent } from './postgres-store.ts'
import { openRedisServer, type RedisServer } from './redis-server.ts'

export const redisSettings = { REDIS_DIAL_TIMEOUT: 2000, REDIS_READ_TIMEOUT: 3000 }

export interface RedisStore extends BusStore {
  /** Through the proxy. */
  readonly url: string
  readonly server: RedisServer
}

/** A Redis behind a proxy. */
export async function createRedisStore(
  open: () => Promise<RedisServer> = openRedisServer,
): Promise<RedisStore> {
  const server = await open()
  const proxy = await createCuttableProxy({ host: server.host, port: server.port })
  const url = `redis://127.0.0.1:${proxy.port}${server.path}`
  return {
    url,
    server,
    async open() {
      const bus = createRedisBus({ url, log: silent, settings: redisSettings })
      await bus.ping()
      return bus
    },
    drop: proxy.drop,
    cut: proxy.cut,
    restore: proxy.restore,
    maintain: async () => undefined,
    wipe: server.flush,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}
