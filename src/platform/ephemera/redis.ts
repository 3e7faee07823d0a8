/**
 * Ephemera on Redis: SET NX PX, counters and compare-and-delete as scripts, so
 * that no key is ever left without its time to live (storage-and-operations
 * §7.3). Calls of one tick share a pipeline.
 */
import type { Logger } from 'pino'
import { openRedis, type RedisClient, type RedisSettings } from '../bus/redis-connection.ts'
import type { Database } from '../db/port.ts'
import { type Counter, type Ephemera, EphemeraUnavailable, keptFor } from './port.ts'
import { askRedis, wholeMs } from './redis-ask.ts'
import { createRedisClock } from './redis-clock.ts'
import { createRedisReplay } from './redis-replay.ts'
import {
  compareAndDelete,
  compareAndExpire,
  countInPresentWindow,
  evaluate,
  incrementInWindow,
  raiseDecimal,
} from './redis-scripts.ts'

export interface RedisEphemeraOptions {
  readonly url: string
  /** Its clock dates the birth of the replay memory. */
  readonly db: Database
  readonly log: Logger
  readonly settings: RedisSettings
}

export interface RedisEphemera extends Ephemera {
  readonly driver: 'redis'
}

const pingTimeoutMs = 1000
/** One is enough but where a window ends on the way; each answer tells the time anew. */
const mostGuesses = 4

/** Connects in the background; `ping` tells when it is there. */
export function createRedisEphemera({ url, db, log, settings }: RedisEphemeraOptions): RedisEphemera {
  const connection = openRedis({ url, log, settings, name: 'ephemera' })
  const ask = <T>(work: (client: RedisClient) => Promise<T>, timeoutMs?: number): Promise<T> =>
    askRedis(connection, work, timeoutMs)
  const clock = createRedisClock()

  async function countInWindow(key: string, windowMs: number): Promise<Counter> {
    for (let guess = 1; guess <= mostGuesses; guess += 1) {
      const askedAt = performance.now()
      const window = Math.floor(clock.now() / windowMs)
      const args = [windowMs, window, wholeMs(keptFor(windowMs))].map(String)
      const [count, now] = (await ask((client) =>
        evaluate(client, countInPresentWindow, [`${key}:${window}`], args),
      )) as [number, number]
      clock.heard(now, askedAt)
      if (count > 0) return { count, remainingMs: (window + 1) * windowMs - now }
    }
    throw new EphemeraUnavailable('the clock of Redis cannot be followed')
  }

  return {
    driver: 'redis',
    replay: createRedisReplay(connection, db, log),

    async ping() {
      await ask((client) => client.ping(), pingTimeoutMs)
    },
    async setIfAbsent(key, value, ttlMs) {
      const reply = await ask((client) =>
        client.set(key, value, { condition: 'NX', expiration: { type: 'PX', value: wholeMs(ttlMs) } }),
      )
      return reply === 'OK'
    },
    async set(key, value, ttlMs) {
      await ask((client) => client.set(key, value, { expiration: { type: 'PX', value: wholeMs(ttlMs) } }))
    },
    get: (key) => ask((client) => client.get(key)),
    take: (key) => ask((client) => client.getDel(key)),
    async delete(key) {
      await ask((client) => client.del(key))
    },
    async extendIfEquals(key, value, ttlMs) {
      const args = [value, String(wholeMs(ttlMs))]
      return (await ask((client) => evaluate(client, compareAndExpire, [key], args))) === 1
    },
    async deleteIfEquals(key, value) {
      return (await ask((client) => evaluate(client, compareAndDelete, [key], [value]))) === 1
    },
    async raise(key, decimal, ttlMs) {
      await ask((client) => evaluate(client, raiseDecimal, [key], [decimal, String(wholeMs(ttlMs))]))
    },
    async increment(key, windowMs, by = 1) {
      const reply = (await ask((client) =>
        evaluate(client, incrementInWindow, [key], [String(wholeMs(windowMs)), String(by)]),
      )) as [number, number]
      return { count: reply[0], remainingMs: Math.max(0, reply[1]) }
    },
    countInWindow,
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  }
}
