/**
 * The outbox of one process: enqueue for every role, and the dispatcher as a job
 * for the roles that publish (control, coordinator). Committing wakes the
 * dispatcher at once: by a call when it runs in this process, by NOTIFY when it
 * runs in another one.
 */
import type { Logger } from 'pino'
import type { Bus } from '../bus/port.ts'
import type { Database, Tx } from '../db/port.ts'
import { iterationOf } from '../jobs/iteration.ts'
import type { Job, JobContext } from '../jobs/job.ts'
import type { KeyRing } from '../keys.ts'
import { createDispatcher, type Dispatcher } from './dispatcher.ts'
import { createEntryMaker } from './entry.ts'
import type { Outbox } from './port.ts'
import { insertPublished, insertRows } from './rows.ts'

export interface OutboxSettings {
  readonly OUTBOX_INTERVAL_MS: number
  readonly OUTBOX_BATCH_SIZE: number
  readonly OUTBOX_MAX_ATTEMPTS: number
  /** Seconds. */
  readonly OUTBOX_LOCK_SEC: number
  readonly STREAMS_MAXLEN: number
  /** Lease owner, unique per process. */
  readonly WORKER_ID: string
}

export interface OutboxOptions {
  readonly db: Database
  readonly bus: Bus
  readonly keys: Pick<KeyRing, 'streams'>
  readonly settings: OutboxSettings
  readonly log: Logger
}

export interface RunningOutbox extends Outbox, AsyncDisposable {
  /** `outbox_publisher`: register it once per process, and only where control or coordinator run. */
  readonly job: Job
  readonly dispatcher: Dispatcher
}

const channel = 'caracal_outbox'

export function createOutbox({ db, bus, keys, settings, log }: OutboxOptions): RunningOutbox {
  const toEntry = createEntryMaker(keys.streams, settings.STREAMS_MAXLEN)
  const dispatcher = createDispatcher({
    db,
    bus,
    toEntry,
    worker: settings.WORKER_ID,
    batchSize: settings.OUTBOX_BATCH_SIZE,
    maxAttempts: settings.OUTBOX_MAX_ATTEMPTS,
    leaseSeconds: settings.OUTBOX_LOCK_SEC,
  })
  const { store } = bus
  /** Transactions whose entries go out with their commit. */
  const publishing = new WeakSet<Tx>()
  /** Signal of the running job; `null` where this process does not dispatch. */
  let dispatching: AbortSignal | null = null
  let listening: Promise<AsyncDisposable> | null = null

  const wake = (): void => {
    if (dispatching === null || dispatching.aborted) return
    const run = iterationOf(log, dispatching)
    dispatcher.tick(run).catch((error: unknown) => {
      run.log.error({ err: error }, 'outbox_publisher_failed')
    })
  }

  const listen = async (run: JobContext): Promise<void> => {
    if (listening !== null) return
    listening = db.listen(channel, wake, wake)
    try {
      await listening
    } catch (error) {
      // The interval carries on; the next iteration tries to listen again.
      listening = null
      run.log.warn({ err: error }, 'outbox_listen_failed')
    }
  }

  return {
    dispatcher,
    job: {
      name: 'outbox_publisher',
      intervalMs: settings.OUTBOX_INTERVAL_MS,
      immediate: true,
      log,
      async run(context) {
        dispatching = context.signal
        await listen(context)
        await dispatcher.tick(context)
      },
    },

    transaction: (from, work, options = {}) =>
      store === undefined || store.database !== from
        ? from.transaction(work, options)
        : from.transaction(
            (tx) => {
              publishing.add(tx)
              return work(tx)
            },
            { ...options, publishes: true },
          ),

    async enqueue(tx, producer, events) {
      if (events.length === 0) return []
      if (store !== undefined && publishing.has(tx)) {
        const { ids, entries } = insertPublished(tx, producer, events, toEntry)
        tx.onCommit(() => store.written(entries))
        return ids
      }
      const ids = insertRows(tx, producer, events)
      // A notification takes a cluster-wide lock at commit, so it is sent only where nobody here dispatches.
      if (dispatching === null || dispatching.aborted) tx.send(tx.sql`select pg_notify(${channel}, '')`)
      else tx.onCommit(wake)
      return ids
    },

    async [Symbol.asyncDispose]() {
      dispatching = null
      await dispatcher.idle()
      const subscription = await listening?.catch(() => null)
      await subscription?.[Symbol.asyncDispose]()
    },
  }
}
