/**
 * Deletes what a deployment keeps in Redis: its streams and its keys, by the catalogue of
 * storage-and-operations §7.3. `caracal:revoked:*` belongs to the verifiers of applications and stays.
 */
import type { Logger } from 'pino'
import { openRedis, type RedisSettings } from '../bus/redis-connection.ts'

const owned = [
  'caracal.*',
  'caracal:auth:*',
  'caracal:control:*',
  'caracal:replay:*',
  'caracal:sts:*',
  'api:admin_auth_fail:*',
  'api:admin_token_touched:*',
  'api:api_key_touched:*',
  'api:console_*',
  'api:control_invoke_ip:*',
  'api:login*',
  'api:provider_oauth_state:*',
  'api:ready_rl:*',
  'api:v1_rl:*',
  'audit:jti:*',
  'auth-rl:*',
  'coordinator:*',
  'gateway-group-*',
  'provider-refresh*',
  'rl:*',
  'seen:jti:*',
  'stream-failure:*',
] as const

const perScan = 500

/** The number of keys that went. */
export async function forgetInRedis(url: string, settings: RedisSettings, log: Logger): Promise<number> {
  await using redis = openRedis({ url, log, settings, name: 'purge' })
  let gone = 0
  for (const pattern of owned) {
    let cursor = '0'
    do {
      const page = await redis.run((client) => client.scan(cursor, { MATCH: pattern, COUNT: perScan }))
      cursor = page.cursor
      if (page.keys.length > 0) gone += await redis.run((client) => client.unlink(page.keys))
    } while (cursor !== '0')
  }
  return gone
}
