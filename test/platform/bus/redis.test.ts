import { busContract } from './contract.ts'
import { testRedisUrl } from './redis-server.ts'
import { createRedisStore } from './redis-store.ts'

busContract(testRedisUrl() === undefined ? 'the double of a Redis' : 'Redis', () => createRedisStore())
