/**
 * The ingest loop of one process (audit-and-events §6.2). While Postgres is away it neither
 * reads nor reclaims, so an outage burns no delivery budget and dead-letters nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { type ClaimedEntry, GroupLost, type WorkGroup } from '../../../platform/bus/port.ts'
import type { Database } from '../../../platform/db/port.ts'
import { iterationOf } from '../../../platform/jobs/iteration.ts'
import type { JobContext } from '../../../platform/jobs/job.ts'
import { isGone } from './consumer-name.ts'
import { type ProcessDeps, processBatch, type ReadyBatch, readyBatch } from './process.ts'

const batchSize = 1_000
const blockMs = 5_000
/**
 * After a batch that was not full the next one may gather for this long: a trickle of events then
 * costs a few transactions a second instead of one for each event.
 */
const gatherMs = 100
const backOffMs = 1_000
/** How often names of processes that are gone are looked for, and after how long they are forgotten. */
const tidyMs = 60 * 60 * 1_000
const forgottenAfterMs = 24 * 60 * 60 * 1_000

export interface Consumer extends AsyncDisposable {
  /** False while the loop cannot read. */
  healthy(): boolean
  /** Takes over entries whose consumer went away, and forgets who went long ago; run as a job. */
  reap(context: JobContext): Promise<void>
}

export interface ConsumerDeps extends ProcessDeps {
  readonly group: WorkGroup
  readonly db: Database
  readonly log: Logger
  /** Unique among replicas: two consumers that share a name drain each other's pending entries. */
  readonly name: string
  readonly claimIdleMs: number
}

/** Starts the loop at once; disposing waits for the batch in hand. */
export function startConsumer(deps: ConsumerDeps): Consumer {
  const { group, log, name } = deps
  const stop = new AbortController()
  let healthy = false
  /** Own entries first, and those of its predecessor: they were in hand when a consumer, or its store, went away. */
  let positionedOnce = false
  let tidiedAt = Number.NEGATIVE_INFINITY

  async function positioned(): Promise<void> {
    positionedOnce = true
    await group.ensure('start')
    for (const from of [name, ...(await group.holders()).filter(isGone)])
      await drain(() => group.reclaim({ consumer: name, from, minIdleMs: 0, count: batchSize }))
  }

  /** Its lines are of the job's run; a batch of the loop is a run of its own. */
  async function handle(batch: ReadyBatch, run = iterationOf(log, stop.signal)): Promise<void> {
    const own = {
      ...deps,
      get log() {
        return run.log
      },
    }
    if ((await processBatch(own, batch)) === 'interrupted') positionedOnce = false
  }

  const readNext = async () =>
    readyBatch(deps, await group.read({ consumer: name, count: batchSize, blockMs, signal: stop.signal }))

  async function drain(next: () => Promise<ClaimedEntry[]>, run?: JobContext): Promise<void> {
    let last = ''
    while (!stop.signal.aborted) {
      const entries = await next()
      // What stays pending comes back: stop when a page brings nothing new.
      if (entries.length === 0 || entries.at(-1)?.id === last) return
      last = entries.at(-1)?.id ?? ''
      await handle(await readyBatch(deps, entries), run)
    }
  }

  async function loop(): Promise<void> {
    /** Has read before: what fails now is not the bus. */
    let ready = false
    /** The store answered a moment ago. */
    let reachable = false
    while (!stop.signal.aborted) {
      try {
        if (!reachable) await deps.db.ping()
        reachable = false
        if (!positionedOnce) await positioned()
        ready = true
        healthy = true
        const asked = performance.now()
        let batch = await readNext()
        const idle = batch.entries.length === 0
        // Before its time: the store may have forgotten what was acknowledged last.
        if (idle && performance.now() - asked < blockMs / 2) positionedOnce = false
        while (batch.entries.length > 0) {
          // While there is a backlog, the next batch is fetched and made ready as this one is stored.
          const next = batch.entries.length === batchSize ? readNext() : null
          next?.catch(() => undefined)
          await handle(batch)
          if (next === null) break
          batch = await next
          // What was fetched meanwhile is among the own entries that are read again.
          if (!positionedOnce) break
        }
        reachable = !idle && positionedOnce
        if (reachable) await sleep(gatherMs, undefined, { signal: stop.signal }).catch(() => undefined)
      } catch (error) {
        if (stop.signal.aborted) return
        // A store that went away may have forgotten the last acknowledgements: its own entries come first again.
        positionedOnce = false
        if (error instanceof GroupLost) ready = false
        healthy = await deps.db.ping().then(
          () => false,
          // The bus is not to blame: readiness names Postgres by itself.
          () => ready,
        )
        iterationOf(log, stop.signal).log.warn({ err: error }, 'audit_consumer_waiting')
        await sleep(backOffMs, undefined, { signal: stop.signal }).catch(() => undefined)
      }
    }
  }

  const running = loop()
  return {
    healthy: () => healthy,
    async reap(context) {
      if (!healthy) return
      await deps.db.ping()
      await drain(
        () => group.reclaim({ consumer: name, minIdleMs: deps.claimIdleMs, count: batchSize }),
        context,
      )
      if (performance.now() - tidiedAt < tidyMs) return
      tidiedAt = performance.now()
      await group.forgetConsumers(forgottenAfterMs)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}
