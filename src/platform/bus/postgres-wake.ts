/**
 * Wakes the readers of one process. Three sources, fastest first: the signal of a
 * publish in this process, NOTIFY from another one, and one poll a second for
 * all readers together that covers a lost notification. A reader never polls by
 * itself: an idle process costs one query a second, whatever it reads.
 */
import type { Logger } from 'pino'
import type { Database } from '../db/port.ts'
import { flushedLater } from './postgres-flush.ts'
import { notifyChannel } from './postgres-publish.ts'

export interface Watcher {
  readonly stream: string
  /** Name of the work group; absent for a broadcast reader. */
  readonly group?: string
  /** There may be something new. */
  wake(): void
  /** The work group is gone. */
  lost?(): void
  /** The connection to the store was replaced: positions must be checked. */
  reconnected?(): void
}

export interface Wake extends AsyncDisposable {
  /** Subscribes; the answer unsubscribes. */
  watch(watcher: Watcher): () => void
  /** A publish of this process committed. */
  signal(streams: readonly string[]): void
  /**
   * A publish of this process is about to be sent: the streams it shall notify about. Within
   * `notifyGapMs` of the last notification of a stream none goes along; one follows for all of them.
   */
  announce(streams: readonly string[]): readonly string[]
  /** A transaction of this process that wrote entries has committed: tells the readers of other processes. */
  tell(streams: readonly string[]): void
}

/** Other processes hear of a stream that is written to all the time this often, not at every commit. */
const notifyGapMs = 20

interface HeadRow {
  readonly n: number
  readonly head: string | null
  readonly present: boolean
}

export function createWake(db: Database, log: Logger, pollMs: number): Wake {
  const watchers = new Map<string, Set<Watcher>>()
  const heads = new Map<string, string>()
  const expected = new Map<string, number>()
  const notifiedAt = new Map<string, number>()
  const owed = new Set<string>()
  let owing: NodeJS.Timeout | undefined
  let listening: Promise<AsyncDisposable | null> | null = null
  let heard = false
  let timer: NodeJS.Timeout | undefined
  let polling: Promise<void> = Promise.resolve()
  let closed = false
  let away = false

  const wakeAll = (stream: string): void => {
    for (const watcher of watchers.get(stream) ?? []) watcher.wake()
  }

  const onNotify = (stream: string): void => {
    // Our own notification comes back too; the in-process signal has woken the readers already.
    const own = expected.get(stream) ?? 0
    if (own > 0) {
      expected.set(stream, own - 1)
      return
    }
    wakeAll(stream)
  }

  const onReconnect = (): void => {
    expected.clear()
    for (const set of watchers.values()) {
      for (const watcher of set) {
        watcher.reconnected?.()
        watcher.wake()
      }
    }
  }

  const poll = async (): Promise<void> => {
    // A notification that never came must not mute the next one for longer than a poll.
    expected.clear()
    const all = [...watchers.values()].flatMap((set) => [...set])
    if (all.length === 0) return
    try {
      const rows = await db.sql<HeadRow[]>`
        select w.n::int as n,
               (select e.xid::text || '-' || e.seq::text
                from bus_event e
                where e.stream = w.stream
                order by e.xid desc, e.seq desc
                limit 1) as head,
               (w.grp = '' or exists (
                 select 1 from bus_cursor c where c.stream = w.stream and c.grp = w.grp)) as present
        from unnest(${all.map((watcher) => watcher.stream)}::text[],
                    ${all.map((watcher) => watcher.group ?? '')}::text[]) with ordinality as w(stream, grp, n)`
      away = false
      const changed = new Set<string>()
      for (const row of rows) {
        const watcher = all[row.n - 1]
        if (watcher === undefined) continue
        if (!row.present) watcher.lost?.()
        const head = row.head ?? ''
        if (heads.get(watcher.stream) !== head) {
          heads.set(watcher.stream, head)
          changed.add(watcher.stream)
        }
      }
      for (const stream of changed) wakeAll(stream)
    } catch (error) {
      if (!away && !closed) log.warn({ err: error }, 'bus_poll_failed')
      away = true
    }
  }

  const expectBack = (streams: readonly string[]): void => {
    if (!heard) return
    for (const stream of streams) expected.set(stream, (expected.get(stream) ?? 0) + 1)
  }

  const isDue = (stream: string, now: number): boolean =>
    now - (notifiedAt.get(stream) ?? Number.NEGATIVE_INFINITY) >= notifyGapMs

  /** The publish that was not announced has committed by then, or its reader finds it at the next poll. */
  const owe = (stream: string): void => {
    owed.add(stream)
    owing ??= setTimeout(notifyOwed, notifyGapMs)
  }

  const notifyOwed = async (): Promise<void> => {
    clearTimeout(owing)
    owing = undefined
    if (owed.size === 0) return
    const streams = [...owed]
    owed.clear()
    const now = performance.now()
    for (const stream of streams) notifiedAt.set(stream, now)
    expectBack(streams)
    await db.hotWrites`
      select count(pg_notify(${notifyChannel}, s)) as notified, ${flushedLater(db.hotWrites)} as flush
      from unnest(${streams}::text[]) as s`.catch((error: unknown) => {
      log.debug({ err: error }, 'bus_notify_failed')
    })
  }

  const schedule = (): void => {
    if (closed || timer !== undefined || watchers.size === 0) return
    timer = setTimeout(() => {
      timer = undefined
      polling = poll().finally(schedule)
    }, pollMs)
  }

  const listen = (): void => {
    if (listening !== null) return
    listening = db.listen(notifyChannel, onNotify, onReconnect).then(
      (subscription) => {
        heard = true
        return subscription
      },
      (error: unknown) => {
        // The poll carries on alone; the next reader tries again.
        log.warn({ err: error }, 'bus_listen_failed')
        listening = null
        return null
      },
    )
  }

  return {
    watch(watcher) {
      const set = watchers.get(watcher.stream) ?? new Set()
      set.add(watcher)
      watchers.set(watcher.stream, set)
      listen()
      schedule()
      return () => {
        set.delete(watcher)
        if (set.size === 0) watchers.delete(watcher.stream)
      }
    },
    signal(streams) {
      for (const stream of streams) wakeAll(stream)
    },
    announce(streams) {
      const now = performance.now()
      const due = streams.filter((stream) => isDue(stream, now))
      for (const stream of due) notifiedAt.set(stream, now)
      for (const stream of streams) if (!due.includes(stream)) owe(stream)
      expectBack(due)
      return due
    },
    tell(streams) {
      const now = performance.now()
      for (const stream of streams) owe(stream)
      if (streams.some((stream) => isDue(stream, now))) void notifyOwed()
    },
    async [Symbol.asyncDispose]() {
      closed = true
      clearTimeout(timer)
      clearTimeout(owing)
      await notifyOwed()
      await polling
      await (await listening)?.[Symbol.asyncDispose]()
    },
  }
}
