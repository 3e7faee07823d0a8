/**
 * The producer's buffer between the hot path and the bus (audit-and-events §4).
 * Evidence before authority: `emit` settles only when the event rests in the bus or in
 * the synced journal, and says so; when neither took it, readiness latches and the
 * caller must refuse what it was about to grant.
 *
 * One pipelined publish per event-loop tick for what somebody waits for; nothing is sent twice.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Bus } from '../../platform/bus/port.ts'
import type { KeyRing } from '../../platform/keys.ts'
import { countFrom, gaugeFrom } from '../../platform/observe/metrics.ts'
import type { Platform } from '../../platform/platform.ts'
import type { Accepted, AuditSink } from './event.ts'
import { auditStream, frame, serialise } from './frame.ts'
import { createJournal } from './journal.ts'

const capacity = 10_000
const batchSize = 1_000
/** For how long outcomes nobody waits for may gather: each publish is a commit of its own. */
const gatherMs = 10
/** How long a statement may carry outcomes before they go to the journal; a publish gives up as soon. */
const rideMs = 5_000
/** How long a final publish may take before what it carries goes to the journal instead. */
const flushGraceMs = 3_000

export interface AuditSinkDeps {
  readonly bus: Bus
  readonly keys: Pick<KeyRing, 'audit'>
  /** One directory per role: `AUDIT_REPLAY_DIR`, or a sub-directory when several roles share the process. */
  readonly directory: string
  readonly log: Logger
  readonly metrics: Platform['metrics']
  /** `caracal_sts` or `caracal_gateway`. */
  readonly metricPrefix: string
}

interface Waiting {
  readonly id: string
  readonly data: string
  readonly settle: (outcome: Accepted) => void
}

/** Creates the sink of one role. It owns no timer: the role runs `drainJournal` as a job. */
export function createAuditSink(deps: AuditSinkDeps): AuditSink {
  const { bus, keys, log } = deps
  const journal = createJournal(deps.directory)
  const counts = { emitted: 0, dropped: 0, persisted: 0, drained: 0, sinkErrors: 0 }
  let queue: Waiting[] = []
  let scheduled = false
  let gathering: NodeJS.Timeout | null = null
  let draining: Promise<void> | null = null
  const inFlight = new Set<Promise<void>>()
  /** Handed to the bus, which has not answered yet. */
  const unanswered = new Set<Waiting>()

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      flush()
    })
  }

  function gather(): void {
    if (!scheduled) gathering ??= setTimeout(flush, gatherMs)
  }

  function flush(): void {
    if (gathering !== null) clearTimeout(gathering)
    gathering = null
    while (queue.length > 0) {
      const batch = queue.slice(0, batchSize)
      queue = queue.slice(batchSize)
      track(send(batch))
    }
  }

  function track(work: Promise<void>): void {
    inFlight.add(work)
    work.finally(() => inFlight.delete(work)).catch(() => undefined)
  }

  const entryOf = ({ id, data }: Waiting) => ({ stream: auditStream, fields: frame(id, data, keys.audit) })

  /** What nobody waits for, for a statement to carry that is sent before the gathering ends. */
  const withdraw = bus.store?.rides.offer((max) => {
    if (scheduled || queue.length === 0) return null
    const batch = queue.slice(0, max)
    queue = queue.slice(max)
    for (const item of batch) unanswered.add(item)
    let ended: (end?: Promise<void>) => void = () => undefined
    track(new Promise((resolve) => (ended = resolve)))
    const patience = setTimeout(() => {
      ended(persist(batch.filter((item) => unanswered.delete(item))))
    }, rideMs).unref()
    return {
      entries: batch.map(entryOf),
      settle(arrived) {
        clearTimeout(patience)
        // The rest is in the journal by now.
        const left = batch.filter((item) => unanswered.delete(item))
        if (!arrived) return ended(send(left))
        for (const item of left) item.settle('bus')
        ended()
      },
    }
  })

  async function send(batch: readonly Waiting[]): Promise<void> {
    for (const item of batch) unanswered.add(item)
    const outcomes = await bus.publish(batch.map(entryOf)).catch((error: unknown) => {
      log.warn({ err: error }, 'audit_publish_failed')
      return []
    })
    const refused: Waiting[] = []
    batch.forEach((item, index) => {
      // The journal has it by now: closing did not wait for the bus.
      if (!unanswered.delete(item)) return
      if (outcomes[index]?.ok === true) item.settle('bus')
      else refused.push(item)
    })
    if (refused.length === 0) return
    counts.sinkErrors += refused.length
    await persist(refused)
  }

  async function persist(items: readonly Waiting[]): Promise<void> {
    if (items.length === 0) return
    try {
      await journal.append(items.map((item) => item.data))
      counts.persisted += items.length
      for (const item of items) item.settle('journal')
    } catch (error) {
      counts.dropped += items.length
      log.error({ err: error, events: items.length }, 'audit_evidence_lost')
      for (const item of items) item.settle('lost')
    }
  }

  async function drainFile(path: string, told: Logger): Promise<void> {
    const events: { id: string; data: string }[] = []
    for (const line of (await journal.read(path)).lines) {
      const id = eventIdOf(line)
      if (id === null) told.error({ file: path }, 'audit_replay_line_skipped')
      else events.push({ id, data: line })
    }
    for (let start = 0; start < events.length; start += batchSize) {
      const part = events.slice(start, start + batchSize)
      const outcomes = await bus.publish(
        part.map((event) => ({ stream: auditStream, fields: frame(event.id, event.data, keys.audit) })),
      )
      const failed = outcomes.find((outcome) => !outcome.ok)
      if (failed !== undefined && !failed.ok) throw new Error(`audit replay stopped: ${failed.message}`)
    }
    await journal.remove(path)
    counts.drained += events.length
  }

  async function drainAll(told: Logger): Promise<void> {
    const files = await journal.pending()
    if (files.length === 0) return
    await bus.ping()
    for (const path of files) {
      await drainFile(path, told).catch((error: unknown) => {
        told.warn({ err: error, file: path }, 'audit_replay_failed')
        throw error
      })
    }
    told.info({ files: files.length }, 'audit_replay_drained')
  }

  function take(item: Waiting, hasten: () => void): void {
    if (queue.length >= capacity) {
      track(persist([item]))
      return
    }
    queue.push(item)
    hasten()
  }

  const accept = (id: string, data: string): Promise<Accepted> =>
    new Promise((settle) => take({ id, data, settle }, schedule))

  const sink: AuditSink = {
    emit(event) {
      counts.emitted += 1
      return accept(event.id, serialise(event))
    },

    tell(event) {
      counts.emitted += 1
      take({ id: event.id, data: serialise(event), settle: () => undefined }, gather)
    },

    board(event) {
      const data = serialise(event)
      return {
        entry: { stream: auditStream, fields: frame(event.id, data, keys.audit) },
        arrived() {
          counts.emitted += 1
        },
        leftBehind() {
          counts.emitted += 1
          return accept(event.id, data)
        },
      }
    },

    async drainJournal(told = log) {
      // The directory being away or the bus being down leaves the files for the next attempt.
      draining ??= drainAll(told).finally(() => {
        draining = null
      })
      await draining
    },

    async readiness() {
      if (counts.dropped > 0) return 'audit_evidence_lost'
      return journal.probe().then(
        () => 'ok' as const,
        () => 'audit_replay_unavailable' as const,
      )
    },

    async stats() {
      const files = await journal.stats()
      return {
        ...counts,
        queueDepth: queue.length,
        queueCapacity: capacity,
        journalFiles: files.files,
        journalBytes: files.bytes,
        journalOldestAgeSeconds: files.oldestAgeSeconds,
      }
    },

    async [Symbol.asyncDispose]() {
      withdraw?.()
      flush()
      const patience = new AbortController()
      await Promise.race([
        Promise.allSettled([...inFlight]),
        sleep(flushGraceMs, undefined, { signal: patience.signal }).catch(() => undefined),
      ])
      patience.abort()
      // Sent perhaps, and written in any case: the ledger recognises a repeat.
      const late = [...unanswered]
      unanswered.clear()
      if (late.length > 0) await persist(late)
    },
  }
  registerMetrics(
    deps,
    counts,
    () => queue.length,
    () => journal.stats(),
  )
  return sink
}

function eventIdOf(line: string): string | null {
  try {
    const parsed: unknown = JSON.parse(line)
    if (typeof parsed !== 'object' || parsed === null || !('id' in parsed)) return null
    return typeof parsed.id === 'string' && parsed.id !== '' ? parsed.id : null
  } catch {
    return null
  }
}

function registerMetrics(
  deps: AuditSinkDeps,
  counts: { dropped: number; persisted: number; drained: number; sinkErrors: number },
  depth: () => number,
  files: () => Promise<{ files: number; bytes: number; oldestAgeSeconds: number }>,
): void {
  const counter = (suffix: string, help: string, read: () => number) =>
    countFrom(deps.metrics, `${deps.metricPrefix}_audit_${suffix}`, help, read)
  const gauge = (suffix: string, help: string, read: () => number | Promise<number>) =>
    gaugeFrom(deps.metrics, `${deps.metricPrefix}_audit_${suffix}`, help, read)
  counter('dropped_total', 'Audit events that neither the bus nor the journal took', () => counts.dropped)
  counter('sink_errors_total', 'Audit events the bus did not take at once', () => counts.sinkErrors)
  counter('persisted_total', 'Audit events written to the replay journal', () => counts.persisted)
  counter('drained_total', 'Audit events sent from the replay journal', () => counts.drained)
  counter('replay_replayed_total', 'Audit events sent from the replay journal', () => counts.drained)
  gauge('queue_depth', 'Audit events waiting for the next publish', depth)
  gauge('queue_capacity', 'Audit events the buffer holds before it spills', () => capacity)
  gauge('replay_pending', 'Replay journal files waiting', async () => (await files()).files)
  gauge('replay_files', 'Replay journal files waiting', async () => (await files()).files)
  gauge('replay_bytes', 'Bytes waiting in the replay journal', async () => (await files()).bytes)
  gauge(
    'replay_oldest_age_seconds',
    'Age of the oldest replay journal file',
    async () => (await files()).oldestAgeSeconds,
  )
}
