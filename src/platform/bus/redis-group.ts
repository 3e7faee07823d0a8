/** Work group of the Redis driver: a consumer group of a stream, read on connections of its own. */
import { ErrorReply } from 'redis'
import { type ClaimedEntry, GroupLost, type WorkGroup } from './port.ts'
import type { RedisConnection, RedisSettings } from './redis-connection.ts'

export interface RedisGroup extends WorkGroup {
  close(): Promise<void>
}

export interface GroupContext {
  readonly commands: RedisConnection
  readonly openReader: (name: string) => RedisConnection
  readonly settings: RedisSettings
  readonly guarded: <T>(work: () => Promise<T>) => Promise<T>
}

const lagPage = 10_000
/** What Redis says of a stream that is not there, in XINFO and in XGROUP. */
export const noSuchKey = /no such key|requires the key to exist/i

export function openRedisGroup(context: GroupContext, stream: string, group: string): RedisGroup {
  const { commands, guarded } = context
  /** Connections no read is blocked on; concurrent reads of one group get one each. */
  const free: RedisConnection[] = []
  const all = new Set<RedisConnection>()

  const takeReader = (): RedisConnection => {
    const reader = free.pop() ?? context.openReader(`group-${group}`)
    all.add(reader)
    return reader
  }

  const toEntry = (
    entry: { id: string; message: Record<string, string> },
    deliveries: number,
  ): ClaimedEntry => ({
    id: entry.id,
    stream,
    fields: { ...entry.message },
    deliveries,
  })

  const lostWithoutStream = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      if (error instanceof ErrorReply && noSuchKey.test(error.message)) {
        throw new GroupLost(`stream ${stream} is gone`, { cause: error })
      }
      throw error
    }
  }

  /** Entries of one consumer: found by XPENDING, delivered again by XCLAIM. */
  const reclaimFrom = async (
    holder: string,
    consumer: string,
    minIdleMs: number,
    count: number,
  ): Promise<ClaimedEntry[]> => {
    const pending = await commands.run((client) =>
      client.xPendingRange(stream, group, '-', '+', count, { consumer: holder, IDLE: minIdleMs }),
    )
    if (pending.length === 0) return []
    const deliveries = new Map(pending.map((entry) => [entry.id, entry.deliveriesCounter + 1]))
    const claimed = await commands.run((client) =>
      client.xClaim(
        stream,
        group,
        consumer,
        minIdleMs,
        pending.map((entry) => entry.id),
      ),
    )
    return claimed
      .filter((entry) => entry !== null)
      .map((entry) => toEntry(entry, deliveries.get(entry.id) ?? 1))
  }

  const reclaimAny = async (consumer: string, minIdleMs: number, count: number): Promise<ClaimedEntry[]> => {
    const claimed: { id: string; message: Record<string, string> }[] = []
    let cursor = '0-0'
    do {
      const from = cursor
      const page = await commands.run((client) =>
        client.xAutoClaim(stream, group, consumer, minIdleMs, from, { COUNT: count - claimed.length }),
      )
      for (const entry of page.messages) if (entry !== null) claimed.push(entry)
      cursor = page.nextId
    } while (cursor !== '0-0' && claimed.length < count)
    if (claimed.length === 0) return []
    const counters = await commands.run((client) =>
      Promise.all(claimed.map(({ id }) => client.xPendingRange(stream, group, id, id, 1))),
    )
    return claimed.map((entry, index) => toEntry(entry, counters[index]?.[0]?.deliveriesCounter ?? 2))
  }

  return {
    ensure: (from) =>
      guarded(async () => {
        try {
          await commands.run((client) =>
            client.xGroupCreate(stream, group, from === 'start' ? '0' : '$', { MKSTREAM: true }),
          )
        } catch (error) {
          if (!(error instanceof ErrorReply && error.message.startsWith('BUSYGROUP'))) throw error
        }
      }),

    read: ({ consumer, count, blockMs, signal }) =>
      guarded(async () => {
        if (signal.aborted) return []
        const reader = takeReader()
        try {
          const reply = await reader.run(
            (client) =>
              client.xReadGroup(
                group,
                consumer,
                { key: stream, id: '>' },
                { COUNT: count, ...(blockMs > 0 ? { BLOCK: Math.ceil(blockMs) } : {}) },
              ),
            { timeoutMs: blockMs + context.settings.REDIS_READ_TIMEOUT, signal },
          )
          const streams = reply as
            | readonly { readonly messages: readonly { id: string; message: Record<string, string> }[] }[]
            | null
          return (streams?.[0]?.messages ?? []).map((entry) => toEntry(entry, 1))
        } catch (error) {
          if (signal.aborted) return []
          throw error
        } finally {
          free.push(reader)
        }
      }),

    reclaim: ({ consumer, minIdleMs, count, from }) =>
      guarded(() =>
        from === undefined
          ? reclaimAny(consumer, minIdleMs, count)
          : reclaimFrom(from, consumer, minIdleMs, count),
      ),

    ack: (ids) =>
      guarded(async () => {
        if (ids.length > 0) await commands.run((client) => client.xAck(stream, group, [...ids]))
      }),

    stats: () =>
      guarded(() =>
        lostWithoutStream(async () => {
          const [groups, [oldest]] = await commands.run((client) =>
            Promise.all([client.xInfoGroups(stream), client.xPendingRange(stream, group, '-', '+', 1)]),
          )
          const info = groups.find((candidate) => candidate.name === group)
          if (info === undefined) throw new GroupLost(`group ${group} of ${stream} is gone`)
          const lastDeliveredId = info['last-delivered-id']
          // Redis does not know the lag after entries in between were deleted: count, up to a bound.
          const lag = info.lag as number | null | undefined
          const undelivered =
            typeof lag === 'number'
              ? lag
              : (
                  (await commands.run((client) =>
                    client.xRange(stream, `(${lastDeliveredId}`, '+', { COUNT: lagPage }),
                  )) ?? []
                ).length
          return {
            pending: info.pending,
            undelivered,
            oldestPendingMs: oldest?.millisecondsSinceLastDelivery ?? 0,
            oldestPendingId: oldest?.id ?? null,
            lastDeliveredId,
          }
        }),
      ),

    holders: () =>
      guarded(() =>
        lostWithoutStream(async () => {
          const consumers = await commands.run((client) => client.xInfoConsumers(stream, group))
          return consumers.filter(({ pending }) => pending > 0).map(({ name }) => name)
        }),
      ),

    forgetConsumers: (minIdleMs) =>
      guarded(() =>
        lostWithoutStream(async () => {
          const consumers = await commands.run((client) => client.xInfoConsumers(stream, group))
          const gone = consumers.filter(({ pending, idle }) => pending === 0 && idle >= minIdleMs)
          for (const { name } of gone)
            await commands.run((client) => client.xGroupDelConsumer(stream, group, name))
          return gone.length
        }),
      ),

    destroy: () =>
      guarded(async () => {
        try {
          await commands.run((client) => client.xGroupDestroy(stream, group))
        } catch (error) {
          if (!(error instanceof ErrorReply && noSuchKey.test(error.message))) throw error
        }
      }),

    async close() {
      for (const reader of all) await reader[Symbol.asyncDispose]()
      all.clear()
      free.length = 0
    },
  }
}
