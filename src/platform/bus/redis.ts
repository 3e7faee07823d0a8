/**
 * The bus on Redis Streams, wire-exact: XADD, XREAD, XREADGROUP, XACK, XAUTOCLAIM
 * (storage-and-operations §7.5). One connection for commands, one for each
 * blocking reader.
 */
import type { Logger } from 'pino'
import { ErrorReply } from 'redis'
import { type Bus, BusUnavailable, GroupLost, type OutgoingEntry, type Published } from './port.ts'
import { asRedisError, openRedis, RedisAway, type RedisSettings, RedisTimeout } from './redis-connection.ts'
import { noSuchKey, openRedisGroup, type RedisGroup } from './redis-group.ts'
import { openRedisTail } from './redis-tail.ts'

export interface RedisBusOptions {
  readonly url: string
  readonly log: Logger
  readonly settings: RedisSettings
}

export interface RedisBus extends Bus {
  readonly driver: 'redis'
}

const publishTimeoutMs = 5000
const pingTimeoutMs = 1000

/** What callers of the bus see of an error of the connection. */
function asBusError(error: unknown): Error {
  if (error instanceof RedisAway) return new BusUnavailable('Redis cannot be reached', { cause: error })
  if (error instanceof ErrorReply && /^(NOGROUP|UNBLOCKED)\b/.test(error.message)) {
    return new GroupLost(error.message, { cause: error })
  }
  return error instanceof Error ? error : new Error(String(error))
}

/** Connects in the background; `ping` tells when it is there. */
export function createRedisBus({ url, log, settings }: RedisBusOptions): RedisBus {
  const commands = openRedis({ url, log, settings, name: 'bus' })
  const groups = new Set<RedisGroup>()
  const tails = new Set<AsyncDisposable>()
  const openReader = (name: string) => openRedis({ url, log, settings, name })

  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw asBusError(error)
    }
  }

  const outcome = (result: PromiseSettledResult<string>): Published => {
    if (result.status === 'fulfilled') return { ok: true, id: result.value }
    const error = asRedisError(result.reason)
    return {
      ok: false,
      reason: error instanceof RedisAway ? 'unavailable' : 'rejected',
      message: error.message,
    }
  }

  const add = async (entries: readonly OutgoingEntry[]): Promise<Published[]> => {
    try {
      const results = await commands.run(
        (client) =>
          Promise.allSettled(
            entries.map(({ stream, fields, maxLength }) =>
              client.xAdd(
                stream,
                '*',
                fields as Record<string, string>,
                maxLength === undefined
                  ? {}
                  : { TRIM: { strategy: 'MAXLEN', strategyModifier: '~', threshold: maxLength } },
              ),
            ),
          ),
        { timeoutMs: publishTimeoutMs },
      )
      return results.map(outcome)
    } catch (error) {
      const { message } = error as Error
      // A connection that stands and does not answer costs an attempt (audit-and-events §10.2).
      const reason = error instanceof RedisTimeout ? 'rejected' : 'unavailable'
      return entries.map(() => ({ ok: false, reason, message }))
    }
  }

  return {
    driver: 'redis',
    publish: (entries) => (entries.length === 0 ? Promise.resolve([]) : add(entries)),

    ping: () =>
      guarded(async () => {
        await commands.run((client) => client.ping(), { timeoutMs: pingTimeoutMs })
      }),

    tail: (options) =>
      guarded(async () => {
        const tail = await openRedisTail(openReader, log, settings, options)
        tails.add(tail)
        return {
          positioned: tail.positioned,
          async [Symbol.asyncDispose]() {
            tails.delete(tail)
            await tail[Symbol.asyncDispose]()
          },
        }
      }),

    group(stream, name) {
      const group = openRedisGroup({ commands, openReader, settings, guarded }, stream, name)
      groups.add(group)
      return group
    },

    groups: (stream) =>
      guarded(async () => {
        try {
          const groups = await commands.run((client) => client.xInfoGroups(stream))
          return groups.map(({ name }) => name).sort()
        } catch (error) {
          if (error instanceof ErrorReply && noSuchKey.test(error.message)) return []
          throw error
        }
      }),

    length: (stream) => guarded(() => commands.run((client) => client.xLen(stream))),

    range: (stream, start, count) =>
      guarded(async () => {
        const entries = await commands.run((client) => client.xRange(stream, start, '+', { COUNT: count }))
        return (entries ?? []).map(({ id, message }) => ({ id, stream, fields: { ...message } }))
      }),

    remove: (stream, ids) =>
      guarded(async () =>
        ids.length === 0 ? 0 : await commands.run((client) => client.xDel(stream, [...ids])),
      ),

    trim: (stream, bound) =>
      guarded(async () => {
        await commands.run((client) =>
          'maxLength' in bound
            ? client.xTrim(stream, 'MAXLEN', bound.maxLength)
            : client.sendCommand<number>(['XTRIM', stream, 'MINID', bound.minId]),
        )
      }),

    async [Symbol.asyncDispose]() {
      for (const tail of [...tails]) await tail[Symbol.asyncDispose]()
      for (const group of groups) await group.close()
      await commands[Symbol.asyncDispose]()
    },
  }
}
