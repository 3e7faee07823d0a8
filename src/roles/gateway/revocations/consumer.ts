/**
 * The revocation stream (gateway §8.3): one group per gateway process, because every
 * process needs every message. Order does not matter and marking twice is harmless,
 * so entries are applied first and acknowledged after.
 */
import { type Bus, type ClaimedEntry, GroupLost } from '../../../platform/bus/port.ts'
import { signEntry, verifyEntry } from '../../../platform/bus/signature.ts'
import type { Ephemera } from '../../../platform/ephemera/port.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import type { Platform } from '../../../platform/platform.ts'
import type { Counters } from '../counters.ts'
import { anchorsOfEntry, propagationSeconds, revocationStream } from './entries.ts'
import type { RevocationSet } from './set.ts'
import type { Snapshot } from './snapshot.ts'

export interface RevocationConsumer {
  /** Creates the group at the end of the stream; what is published from now on will be applied. */
  prepare(): Promise<void>
  /** Reads until `signal` aborts. Rejects when the bus fails; the owner runs it again. */
  run(signal: AbortSignal): Promise<void>
}

export interface RevocationConsumerDeps {
  readonly bus: Bus
  readonly ephemera: Ephemera
  readonly key: HmacKey
  readonly log: Platform['log']
  readonly counters: Counters
  readonly set: RevocationSet
  readonly snapshot: Snapshot
  readonly host: string
  /** 1-based; workers after the first have groups of their own. */
  readonly worker: number
}

const readCount = 50
const blockMs = 1000
const reclaimCount = 25
const reclaimIdleMs = 30_000
const reclaimEveryMs = 30_000
const maxFailures = 5
const failureMemoryMs = 24 * 60 * 60 * 1000

export function createRevocationConsumer(deps: RevocationConsumerDeps): RevocationConsumer {
  const { bus, ephemera, log, counters, set } = deps
  const name = `gateway-revocation:${deps.host}${deps.worker > 1 ? `:${deps.worker}` : ''}`
  const consumer = `gateway-${deps.host}-${process.pid}`
  const group = bus.group(revocationStream, name)

  /** Applies entries and acknowledges what is done with. */
  const apply = async (entries: readonly ClaimedEntry[]): Promise<void> => {
    const done: string[] = []
    for (const entry of entries) if (await applied(entry)) done.push(entry.id)
    if (done.length > 0) await group.ack(done)
  }

  const applied = async (entry: ClaimedEntry): Promise<boolean> => {
    if (!verifyEntry(deps.key, entry.stream, entry.fields)) {
      counters.revocation_invalid_signatures += 1
      log.warn({ stream: entry.stream, entry_id: entry.id }, 'stream_signature_invalid')
      return true
    }
    const anchors = anchorsOfEntry(entry.fields)
    if (anchors === null) return setAside(entry)
    set.mark(anchors)
    counters.revocation_messages += 1
    counters.revocation_propagation_seconds =
      propagationSeconds(entry.id) ?? counters.revocation_propagation_seconds
    return true
  }

  /** Counts a failure; the fifth moves the entry to the dead letters. True when it may be acknowledged. */
  const setAside = async (entry: ClaimedEntry): Promise<boolean> => {
    const error = 'missing revocation anchor'
    const counter = `stream-failure:${revocationStream}:${name}:${entry.id}`
    log.warn({ stream: entry.stream, entry_id: entry.id }, 'revocation_without_anchor')
    const { count } = await ephemera.increment(counter, failureMemoryMs)
    if (count < maxFailures) return false
    const stream = `${revocationStream}.dead`
    const fields = { original_id: entry.id, error, values: JSON.stringify(entry.fields) }
    const [published] = await bus.publish([
      { stream, fields: signEntry(deps.key, stream, fields), maxLength: 10_000 },
    ])
    if (published?.ok !== true) return false
    counters.revocation_dead_letters += 1
    await ephemera.delete(counter)
    return true
  }

  const reclaim = async (): Promise<void> => {
    for (;;) {
      const entries = await group.reclaim({ consumer, minIdleMs: reclaimIdleMs, count: reclaimCount })
      if (entries.length === 0) return
      counters.revocation_pending_replayed += entries.length
      await apply(entries)
      if (entries.length < reclaimCount) return
    }
  }

  return {
    prepare: () => group.ensure('end'),
    async run(signal) {
      let reclaimAt = 0
      while (!signal.aborted) {
        try {
          if (performance.now() >= reclaimAt) {
            await reclaim()
            reclaimAt = performance.now() + reclaimEveryMs
          }
          await apply(await group.read({ consumer, count: readCount, blockMs, signal }))
        } catch (error) {
          if (!(error instanceof GroupLost)) throw error
          // The store was emptied: what was in the stream is gone, Postgres still knows it.
          log.warn({ stream: revocationStream }, 'revocation_group_lost')
          await group.ensure('end')
          await deps.snapshot.load()
        }
      }
    },
  }
}
