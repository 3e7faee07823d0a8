/**
 * Replay markers must outlive their tokens. A Redis that evicts keys under memory pressure can
 * lose one without anybody noticing, so it is said once at start (gateway §8.5).
 */
import type { Logger } from 'pino'
import { openRedis, type RedisSettings } from '../bus/redis-connection.ts'

/** Warns unless `maxmemory-policy` is `noeviction`; says nothing where the policy may not be read. */
export async function warnOfEviction(options: {
  readonly url: string
  readonly log: Logger
  readonly settings: RedisSettings
}): Promise<void> {
  await using connection = openRedis({ ...options, name: 'start' })
  const policy = await connection
    .run((client) => client.configGet('maxmemory-policy'))
    .then(
      (found) => found['maxmemory-policy'],
      () => undefined,
    )
  if (policy === undefined || policy === 'noeviction') return
  options.log.warn(
    { maxmemory_policy: policy },
    'Redis may evict replay markers: set maxmemory-policy to noeviction',
  )
}
