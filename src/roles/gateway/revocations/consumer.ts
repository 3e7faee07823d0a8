/**
 * The revocation stream (gateway §8.3): one group per gateway process, because every
 * process needs every message. Order does not matter and marking twice is harmless.
 */
import { type Consumer, createConsumer } from '../../../platform/bus/consume.ts'
import type { Bus, StreamEntry } from '../../../platform/bus/port.ts'
import type { Ephemera } from '../../../platform/ephemera/port.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import type { Platform } from '../../../platform/platform.ts'
import type { Counters } from '../counters.ts'
import { anchorsOfEntry, propagationSeconds, revocationGroup, revocationStream } from './entries.ts'
import type { RevocationSet } from './set.ts'
import type { Snapshot } from './snapshot.ts'

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
  /** Default 30 s. */
  readonly reclaimMs?: number
}

const batchSize = 50
const blockMs = 1000

/** `start` ensures the group before it resolves: what is published from then on will be applied. */
export function createRevocationConsumer(deps: RevocationConsumerDeps): Consumer {
  const { counters, set } = deps
  return createConsumer({
    bus: deps.bus,
    ephemera: deps.ephemera,
    key: deps.key,
    log: deps.log,
    stream: revocationStream,
    group: revocationGroup(deps.host, deps.worker),
    consumer: `gateway-${deps.host}-${process.pid}`,
    from: 'end',
    batchSize,
    blockMs,
    countPerGroup: true,
    ...(deps.reclaimMs === undefined ? {} : { reclaimMs: deps.reclaimMs }),
    handle: async (entry) => {
      if (entry.deliveries > 1) counters.revocation_pending_replayed += 1
      apply(entry)
    },
    // What was in the lost stream is gone; Postgres still knows it.
    onReset: () => deps.snapshot.load(),
  })

  function apply(entry: StreamEntry): void {
    const anchors = anchorsOfEntry(entry.fields)
    if (anchors === null) throw new Error('missing revocation anchor')
    set.mark(anchors)
    counters.revocation_propagation_seconds =
      propagationSeconds(entry) ?? counters.revocation_propagation_seconds
  }
}
