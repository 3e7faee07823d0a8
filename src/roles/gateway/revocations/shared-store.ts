/**
 * The revocation store that resource servers share in Redis (gateway §27.4), kept by
 * the server with `REVOCATION_STORE_WRITER=true`, so that they need no consumers of
 * their own. The groups are the ones the client libraries use: whoever reads an entry,
 * its effect is the same. Writes only mark and raise, so order and repeats do not matter.
 */
import { type Consumer, createConsumer } from '../../../platform/bus/consume.ts'
import type { Bus } from '../../../platform/bus/port.ts'
import type { Ephemera } from '../../../platform/ephemera/port.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import type { Platform } from '../../../platform/platform.ts'
import { anchorsOfEntry, delegationStream, epochOfEntry, revocationStream } from './entries.ts'

export interface SharedStoreDeps {
  readonly bus: Bus
  readonly ephemera: Ephemera
  readonly key: HmacKey
  readonly log: Platform['log']
  readonly host: string
  /** Default 30 s. */
  readonly reclaimMs?: number
}

export interface SharedStoreWriter extends AsyncDisposable {
  start(): Promise<void>
}

const prefix = 'caracal:revoked:sessions:'
const ttlMs = 24 * 60 * 60 * 1000
const batchSize = 50

/** Two consumers, one per stream; nothing is acknowledged before it is in the store. */
export function createSharedStoreWriter(deps: SharedStoreDeps): SharedStoreWriter {
  const { bus, ephemera, key, log, host, reclaimMs } = deps
  const common = {
    bus,
    ephemera,
    key,
    log,
    consumer: `gateway-${host}-${process.pid}`,
    from: 'start',
    batchSize,
    countPerGroup: true,
    ...(reclaimMs === undefined ? {} : { reclaimMs }),
  } as const
  const consumers: readonly Consumer[] = [
    createConsumer({
      ...common,
      stream: revocationStream,
      group: 'resource-revocation',
      handle: async ({ fields }) => {
        const anchors = anchorsOfEntry(fields)
        if (anchors === null) throw new Error('missing revocation anchor')
        const ids = [...anchors.records, ...anchors.sessions, ...anchors.delegations]
        await Promise.all(ids.map((id) => ephemera.set(prefix + id, '1', ttlMs)))
      },
    }),
    createConsumer({
      ...common,
      stream: delegationStream,
      group: 'resource-delegation-invalidation',
      handle: async ({ fields }) => {
        const told = epochOfEntry(fields)
        if (told === null) throw new Error('invalid delegation epoch')
        await ephemera.raise(`${prefix}delegation-epoch:${told.zoneId}`, told.epoch, ttlMs)
      },
    }),
  ]
  return {
    async start() {
      for (const consumer of consumers) await consumer.start()
    },
    async [Symbol.asyncDispose]() {
      for (const consumer of consumers) await consumer[Symbol.asyncDispose]()
    },
  }
}
