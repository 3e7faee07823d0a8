/**
 * The consumer of a work group (audit-and-events §11.1), the same for every
 * driver and role: verify the signature, handle, acknowledge; what fails stays
 * pending and comes back by reclaim, and after five failures that are its own it is
 * written to `<stream>.dead` and acknowledged. An entry is never acknowledged before
 * its effect, its dead letter, or the finding that nobody with the key wrote it.
 *
 * Handlers must be idempotent and order-insensitive: delivery is at least once.
 */
import type { Logger } from 'pino'
import type { Ephemera } from '../ephemera/port.ts'
import type { HmacKey } from '../keys.ts'
import { type Bus, type ClaimedEntry, GroupLost, type StreamEntry } from './port.ts'
import { isStoreAway } from './postgres-outage.ts'
import { signEntry, verifyEntry } from './signature.ts'
import { createBell } from './wait.ts'

export interface ConsumerOptions {
  readonly bus: Bus
  /** Holds the failure counters. */
  readonly ephemera: Pick<Ephemera, 'increment' | 'delete'>
  /** `STREAMS_HMAC_KEY` with its previous one. */
  readonly key: HmacKey
  readonly log: Logger
  readonly stream: string
  readonly group: string
  /** Unique per process. */
  readonly consumer: string
  /** Where a group that does not exist begins. */
  readonly from: 'start' | 'end'
  /** Entries per read. */
  readonly batchSize: number
  /** Default 5000. */
  readonly blockMs?: number
  /** Idle time after which entries are taken over, and how often that is looked for; default 30 000. */
  readonly reclaimMs?: number
  /** Failure counters named `stream-failure:<stream>:<group>:<id>` instead of `stream-failure:<stream>:<id>`. */
  readonly countPerGroup?: boolean
  /** Resolves when the effect is durable. */
  readonly handle: (entry: ClaimedEntry, signal: AbortSignal) => Promise<void>
  /** The group vanished with the store's memory and was created anew: reload what the stream had told. Retried until it succeeds. */
  readonly onReset?: () => Promise<void>
}

export interface ConsumerStats {
  readonly handled: number
  readonly failed: number
  readonly invalidSignatures: number
  readonly deadLettered: number
  readonly resets: number
}

export interface Consumer extends AsyncDisposable {
  /** Ensures the group, takes over what an earlier process left, then reads until disposal. Rejects when the group cannot be ensured. */
  start(): Promise<void>
  /** False while the store cannot be read: what readiness asks. */
  readonly healthy: boolean
  stats(): ConsumerStats
}

const failureLimit = 5
const failureWindowMs = 24 * 60 * 60 * 1000
const defaultReclaimMs = 30_000
const reclaimPage = 25
const errorPauseMs = 1000
/** After an interruption the first read only asks whether the store is back; zero would mean for ever. */
const askMs = 1
/** After a batch that was not full the next one gathers for this long. */
const gatherMs = 10
const deadLetterLength = 10_000
/** How often names of processes that are gone are looked for, and after how long they are forgotten. */
const tidyMs = 60 * 60 * 1000
const forgottenAfterMs = 24 * 60 * 60 * 1000

export function createConsumer(options: ConsumerOptions): Consumer {
  const { bus, ephemera, log, stream, consumer } = options
  const group = bus.group(stream, options.group)
  const context = { stream, group: options.group }
  const minIdleMs = options.reclaimMs ?? defaultReclaimMs
  const closing = new AbortController()
  const pause = createBell()
  const counts = { handled: 0, failed: 0, invalidSignatures: 0, deadLettered: 0, resets: 0 }
  let healthy = false
  let lost = false
  let reclaimedAt = Number.NEGATIVE_INFINITY
  let tidiedAt = Number.NEGATIVE_INFINITY
  let running: Promise<void> | null = null

  const counterKey = (entry: StreamEntry): string =>
    options.countPerGroup === true
      ? `stream-failure:${stream}:${options.group}:${entry.id}`
      : `stream-failure:${stream}:${entry.id}`

  const writeDeadLetter = async (entry: StreamEntry, reason: string): Promise<boolean> => {
    const dead = `${stream}.dead`
    // A line break in a value would be ambiguous under the signature.
    const fields = signEntry(options.key, dead, {
      original_id: entry.id,
      error: reason.replace(/[\r\n]+/g, ' ').slice(0, 1000),
      values: JSON.stringify(entry.fields),
    })
    const [written] = await bus.publish([{ stream: dead, fields, maxLength: deadLetterLength }])
    return written?.ok === true
  }

  /** Counts a failure; answers whether the entry is done with. */
  const fail = async (entry: ClaimedEntry, error: unknown): Promise<boolean> => {
    counts.failed += 1
    log.warn({ ...context, id: entry.id, err: error }, 'stream_handler_failed')
    // The outage of the store its effect goes to says nothing about the entry, however long it lasts.
    if (isStoreAway(error)) return false
    try {
      const { count } = await ephemera.increment(counterKey(entry), failureWindowMs)
      if (count < failureLimit) return false
      if (!(await writeDeadLetter(entry, error instanceof Error ? error.message : String(error))))
        return false
      counts.deadLettered += 1
      log.error({ ...context, id: entry.id }, 'stream_entry_dead_lettered')
      await ephemera.delete(counterKey(entry)).catch(() => undefined)
      return true
    } catch (counting) {
      log.warn({ ...context, id: entry.id, err: counting }, 'stream_failure_not_counted')
      return false
    }
  }

  const settle = async (entry: ClaimedEntry): Promise<boolean> => {
    if (!verifyEntry(options.key, stream, entry.fields)) {
      counts.invalidSignatures += 1
      log.warn({ ...context, id: entry.id }, 'stream_signature_invalid')
      return true
    }
    try {
      await options.handle(entry, closing.signal)
      counts.handled += 1
      return true
    } catch (error) {
      // Cut short by the end of the process: not the entry's fault.
      if (closing.signal.aborted) return false
      return fail(entry, error)
    }
  }

  const process = async (entries: readonly ClaimedEntry[]): Promise<void> => {
    const done: string[] = []
    try {
      for (const entry of entries) {
        if (closing.signal.aborted) break
        if (await settle(entry)) done.push(entry.id)
      }
    } finally {
      await group.ack(done)
    }
  }

  /** What nobody settled for a while, its own entries included; taking an entry makes it busy again, so pages end. */
  const reclaim = async (): Promise<void> => {
    for (;;) {
      const entries = await group.reclaim({ consumer, minIdleMs, count: reclaimPage })
      await process(entries)
      if (entries.length < reclaimPage || closing.signal.aborted) return
    }
  }

  const restore = async (): Promise<void> => {
    // Whatever the new stream holds came after the loss.
    await group.ensure('start')
    await options.onReset?.()
    counts.resets += 1
    lost = false
    log.warn(context, 'stream_group_recreated')
  }

  const iterate = async (): Promise<void> => {
    if (lost) await restore()
    if (performance.now() - reclaimedAt >= minIdleMs) {
      await reclaim()
      reclaimedAt = performance.now()
    }
    if (performance.now() - tidiedAt >= tidyMs) {
      tidiedAt = performance.now()
      await group.forgetConsumers(forgottenAfterMs)
    }
    const entries = await group.read({
      consumer,
      count: options.batchSize,
      blockMs: healthy ? (options.blockMs ?? 5000) : askMs,
      signal: closing.signal,
    })
    healthy = true
    await process(entries)
    if (entries.length > 0 && entries.length < options.batchSize) await pause.wait(gatherMs, closing.signal)
  }

  const loop = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        await iterate()
      } catch (error) {
        if (closing.signal.aborted) return
        if (error instanceof GroupLost) lost = true
        if (healthy) log.warn({ ...context, err: error }, 'stream_consumer_interrupted')
        healthy = false
        // A lost group is recreated at once; a store that is away gets a moment.
        if (!(error instanceof GroupLost)) await pause.wait(errorPauseMs, closing.signal)
      }
    }
  }

  return {
    async start() {
      await group.ensure(options.from)
      healthy = true
      running ??= loop()
    },
    get healthy() {
      return healthy
    },
    stats: () => ({ ...counts }),
    async [Symbol.asyncDispose]() {
      closing.abort()
      await running
    },
  }
}
