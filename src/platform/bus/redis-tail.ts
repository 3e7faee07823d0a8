/**
 * Broadcast reader of the Redis driver: XREAD from its own positions on a
 * connection of its own. Each read also asks whether the entry it stands on still
 * exists; when it does not (flushed, restarted without its last second, trimmed
 * past the reader) entries may have been missed, and the owner is told to reload.
 */
import type { Logger } from 'pino'
import type { StreamEntry, Tail, TailOptions } from './port.ts'
import { compareIds } from './position.ts'
import type { RedisConnection, RedisSettings } from './redis-connection.ts'
import { createBell } from './wait.ts'

const blockMs = 5000
/** The first read over a new connection does not wait: its owner has to hear of the gap now. Zero would mean for ever. */
const askMs = 1
const pageSize = 500
const retryMs = { first: 20, longest: 1000 } as const

interface Cursor {
  readonly stream: string
  id: string
  /** False where the position names no entry that must exist. */
  anchored: boolean
}

type Message = { readonly id: string; readonly message: Record<string, string> }

export async function openRedisTail(
  openReader: (name: string) => RedisConnection,
  log: Logger,
  settings: RedisSettings,
  options: TailOptions,
): Promise<Tail> {
  const connection = openReader('tail')
  const closing = new AbortController()
  const bell = createBell()
  const cursors: Cursor[] = []

  try {
    if (options.from === 'start') {
      for (const stream of options.streams) cursors.push({ stream, id: '0-0', anchored: false })
    } else {
      const newest = await connection.run((client) =>
        Promise.all(options.streams.map((stream) => client.xRevRange(stream, '+', '-', { COUNT: 1 }))),
      )
      for (const [index, stream] of options.streams.entries()) {
        const last = newest[index]?.[0]
        cursors.push({ stream, id: last?.id ?? '0-0', anchored: last !== undefined })
      }
    }
  } catch (error) {
    await connection[Symbol.asyncDispose]()
    throw error
  }

  /** A new connection may lead to a server that lost its last second: the owner reloads once. */
  let epoch = connection.epoch

  const report = async (work: () => Promise<void> | void, event: string): Promise<void> => {
    try {
      await work()
    } catch (error) {
      log.error({ err: error, streams: options.streams }, event)
    }
  }

  /** Positions whose entry is gone; where the whole stream is behind them they go back to its beginning. */
  const findGaps = async (standing: readonly Message[][]): Promise<boolean> => {
    let gap = false
    for (const [index, cursor] of cursors.entries()) {
      if (!cursor.anchored || (standing[index]?.length ?? 0) > 0) continue
      gap = true
      cursor.anchored = false
      const newest = await connection.run((client) => client.xRevRange(cursor.stream, '+', '-', { COUNT: 1 }))
      const last = newest?.[0]
      if (last === undefined || compareIds(last.id, cursor.id) < 0) cursor.id = '0-0'
    }
    return gap
  }

  const read = async (): Promise<void> => {
    const [standing, reply] = await connection.run(
      async (client) => {
        // Issued in one tick, so answered in this order from one pipeline.
        const anchors = Promise.all(
          cursors.map(({ stream, id, anchored }) =>
            anchored ? client.xRange(stream, id, id, { COUNT: 1 }) : Promise.resolve([]),
          ),
        )
        const entries = client.xRead(
          cursors.map(({ stream, id }) => ({ key: stream, id })),
          { COUNT: pageSize, BLOCK: connection.epoch === epoch ? blockMs : askMs },
        )
        return (await Promise.all([anchors, entries])) as [
          Message[][],
          { readonly name: string; readonly messages: readonly Message[] }[] | null,
        ]
      },
      { timeoutMs: blockMs + settings.REDIS_READ_TIMEOUT, signal: closing.signal },
    )
    const replaced = connection.epoch !== epoch
    epoch = connection.epoch
    if ((await findGaps(standing)) || replaced) await report(options.onGap, 'bus_gap_failed')
    for (const { name, messages } of reply ?? []) {
      const cursor = cursors.find((candidate) => candidate.stream === name)
      const last = messages.at(-1)
      if (cursor === undefined || last === undefined) continue
      const entries = messages.map(
        ({ id, message }): StreamEntry => ({ id, stream: name, fields: { ...message } }),
      )
      await report(() => options.onEntries(entries), 'bus_entries_failed')
      cursor.id = last.id
      cursor.anchored = true
    }
  }

  const loop = async (): Promise<void> => {
    let pause: number = retryMs.first
    let failing = false
    while (!closing.signal.aborted) {
      try {
        await read()
        pause = retryMs.first
        failing = false
      } catch (error) {
        if (closing.signal.aborted) return
        if (!failing) log.warn({ err: error, streams: options.streams }, 'bus_tail_failed')
        failing = true
        await bell.wait(pause, closing.signal)
        pause = Math.min(pause * 2, retryMs.longest)
      }
    }
  }

  const running = loop()
  return {
    positioned: Promise.resolve(),
    async [Symbol.asyncDispose]() {
      closing.abort()
      await running
      await connection[Symbol.asyncDispose]()
    },
  }
}
