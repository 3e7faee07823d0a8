import type { RedisClient, RedisConnection } from '../bus/redis-connection.ts'
import { RedisAway } from '../bus/redis-connection.ts'
import { EphemeraUnavailable } from './port.ts'

/** Everything above this driver sees one error when Redis is away. */
export async function askRedis<T>(
  connection: RedisConnection,
  work: (client: RedisClient) => Promise<T>,
  timeoutMs?: number,
): Promise<T> {
  try {
    return await connection.run(work, timeoutMs === undefined ? {} : { timeoutMs })
  } catch (error) {
    if (error instanceof RedisAway) throw new EphemeraUnavailable('Redis cannot be reached', { cause: error })
    throw error
  }
}

/** Redis refuses a time to live below one millisecond. */
export function wholeMs(ttlMs: number): number {
  return Math.max(1, Math.ceil(ttlMs))
}
