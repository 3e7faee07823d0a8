/** The Lua scripts of the Redis driver; each touches one key. */
import { createHash } from 'node:crypto'
import { ErrorReply } from 'redis'
import type { RedisClient } from '../bus/redis-connection.ts'

export interface Script {
  readonly source: string
  readonly sha: string
}

function script(source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}

/** Counts one call; the first of a window (or a key that has no end) starts the window's clock. */
export const incrementInWindow = script(`
local count = redis.call('INCRBY', KEYS[1], ARGV[2])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {count, left}`)

/**
 * Counts one call under the key of a window by the server's clock. It answers the count and the time; no count
 * when the window is not the present one: then the key, which a script may not make up, is another's.
 */
export const countInPresentWindow = script(`
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if math.floor(now / tonumber(ARGV[1])) ~= tonumber(ARGV[2]) then
  return {0, now}
end
local count = redis.call('INCR', KEYS[1])
if count == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {count, now}`)

export const compareAndDelete = script(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0`)

export const compareAndExpire = script(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0`)

/** Decimals of any length, compared as text: numbers of Lua would lose digits. */
export const raiseDecimal = script(`
local stored = redis.call('GET', KEYS[1])
local given = ARGV[1]
if not stored or #given > #stored or (#given == #stored and given > stored) then
  redis.call('SET', KEYS[1], given, 'PX', ARGV[2])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1`)

/**
 * Stores '<run id> <ms>' unless a sentinel of this very server is there already; answers what is
 * stored.
 */
export const bearOrAdopt = script(`
local stored = redis.call('GET', KEYS[1])
if stored and string.match(stored, '^(%S+) %d+$') == ARGV[1] then
  return stored
end
local born = ARGV[1] .. ' ' .. ARGV[2]
redis.call('SET', KEYS[1], born)
return born`)

/** EVALSHA; a server that does not know the script yet gets its source. */
export async function evaluate(
  client: RedisClient,
  { source, sha }: Script,
  keys: string[],
  args: string[],
): Promise<unknown> {
  try {
    return await client.evalSha(sha, { keys, arguments: args })
  } catch (error) {
    if (!(error instanceof ErrorReply && error.message.startsWith('NOSCRIPT'))) throw error
    return await client.eval(source, { keys, arguments: args })
  }
}
