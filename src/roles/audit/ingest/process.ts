/**
 * What happens to a batch of claimed entries (audit-and-events §6.3). An entry is
 * acknowledged only after it was stored, recognised as a duplicate, or durably dead-lettered;
 * everything else stays pending and is seen again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Bus, ClaimedEntry, WorkGroup } from '../../../platform/bus/port.ts'
import type { Database } from '../../../platform/db/port.ts'
import { helpsToRetry } from '../../../platform/db/unavailable.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import type { Tracer } from '../../../platform/observe/tracer.ts'
import {
  type Appended,
  type AppendOptions,
  appendEvents,
  appendPrepared,
  type Prepared,
  prepareEvents,
} from './append.ts'
import { classify, type IncomingEvent } from './classify.ts'
import { deadLetter } from './dead-letter.ts'

const retryPausesMs = [0, 50, 100, 200, 400] as const

export interface IngestCounts {
  inserts: number
  parseErrors: number
  hmacFailures: number
  deadLetters: number
  retries: number
  tamperReplays: number
}

export interface ProcessDeps {
  readonly bus: Bus
  readonly db: Database
  readonly group: WorkGroup
  readonly key: HmacKey
  readonly log: Logger
  readonly maxDeliveries: number
  readonly counts: IngestCounts
  readonly tracer?: Tracer | null | undefined
}

/** `interrupted`: Postgres went away with entries in hand; the consumer should read its own again once it is back. */
export type Processed = 'done' | 'interrupted'

/** A batch of which everything is known that does not depend on the chains. */
export interface ReadyBatch {
  readonly entries: readonly ClaimedEntry[]
  readonly events: readonly IncomingEvent[]
  /** `null` when Postgres had none for them: they are made again when the batch is stored, and what fails then counts. */
  readonly prepared: readonly Prepared[] | null
  /** Entries that can never become events, and why. */
  readonly refused: readonly { readonly entry: ClaimedEntry; readonly reason: string }[]
}

/** May run while the batch before is being stored. Never rejects. */
export async function readyBatch(
  deps: Pick<ProcessDeps, 'db' | 'key'>,
  entries: readonly ClaimedEntry[],
): Promise<ReadyBatch> {
  const events: IncomingEvent[] = []
  const refused: { entry: ClaimedEntry; reason: string }[] = []
  for (const entry of entries) {
    const classified = classify(entry, deps.key)
    if (classified.ok) events.push(classified.event)
    else refused.push({ entry, reason: classified.reason })
  }
  const prepared = events.length === 0 ? [] : await prepareEvents(deps.db, events).catch(() => null)
  return { entries, events, prepared, refused }
}

/** Stores one batch and acknowledges it. Never rejects: what could not be settled stays pending. */
export async function processBatch(deps: ProcessDeps, batch: ReadyBatch): Promise<Processed> {
  const span = deps.tracer?.start('caracal.audit.ingest', {
    kind: 'consumer',
    attributes: { 'messaging.batch.message_count': batch.entries.length },
  })
  const processed = await settleBatch(deps, batch)
  span?.end(processed === 'interrupted' ? 'Postgres is away' : undefined)
  return processed
}

async function settleBatch(
  deps: ProcessDeps,
  { entries, events, prepared, refused }: ReadyBatch,
): Promise<Processed> {
  const settled: string[] = []
  for (const { entry, reason } of refused) {
    if (await bury(deps, entry, reason)) settled.push(entry.id)
  }
  const stored = await storeAll(deps, events, entries, prepared)
  settled.push(...stored.settled)
  const processed = stored.away ? 'interrupted' : 'done'
  if (settled.length === 0) return processed
  await deps.group.ack(settled).catch((error: unknown) => {
    // Redelivered later and recognised as duplicates.
    deps.log.warn({ err: error, entries: settled.length }, 'audit_ack_failed')
  })
  return processed
}

interface Stored {
  /** Entry ids that may be acknowledged. */
  readonly settled: readonly string[]
  readonly away: boolean
}

async function storeAll(
  deps: ProcessDeps,
  events: readonly IncomingEvent[],
  entries: readonly ClaimedEntry[],
  prepared: readonly Prepared[] | null,
): Promise<Stored> {
  if (events.length === 0) return { settled: [], away: false }
  try {
    const outcomes = await appendRepeatedly(deps, events, prepared)
    return { settled: await settle(deps, outcomes), away: false }
  } catch (error) {
    // One event Postgres refuses must not hold back its neighbours: halve until it stands alone.
    if (!helpsToRetry(error) && events.length > 1) {
      const middle = events.length >> 1
      const first = await storeAll(deps, events.slice(0, middle), entries, null)
      const second = await storeAll(deps, events.slice(middle), entries, null)
      return { settled: [...first.settled, ...second.settled], away: first.away || second.away }
    }
    return unsettled(deps, error, events, entries)
  }
}

class StoreAway extends Error {
  override readonly name = 'StoreAway'
}

/**
 * A dropped connection of a living store, or a chain that another replica holds for too long, is tried again
 * at once and a few times more, rather than left to the reaper; a repeat is recognised by the ledger.
 */
async function appendRepeatedly(
  deps: ProcessDeps,
  events: readonly IncomingEvent[],
  prepared: readonly Prepared[] | null,
): Promise<Map<IncomingEvent, Appended>> {
  // A crash that takes links back has taken the acknowledgement of their entries back too, and they come again.
  const options: AppendOptions = { flush: deps.bus.store?.database === deps.db ? 'later' : 'first' }
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await (prepared === null
        ? appendEvents(deps.db, deps.key, events, options)
        : appendPrepared(deps.db, deps.key, prepared, options))
    } catch (error) {
      if (!helpsToRetry(error)) throw error
      // A store that is away says nothing about the event: no number of deliveries makes it a dead letter.
      if (await isAway(deps.db)) throw new StoreAway('Postgres is away', { cause: error })
      if (attempt >= retryPausesMs.length) throw error
      await sleep(retryPausesMs[attempt] ?? 0)
    }
  }
}

async function settle(deps: ProcessDeps, outcomes: ReadonlyMap<IncomingEvent, Appended>): Promise<string[]> {
  const settled: string[] = []
  for (const [event, outcome] of outcomes) {
    if (outcome === 'tampered') {
      deps.counts.tamperReplays += 1
      if (await bury(deps, event.entry, 'tamper_on_replay')) settled.push(event.entry.id)
      continue
    }
    if (outcome === 'stored') deps.counts.inserts += 1
    settled.push(event.entry.id)
  }
  return settled
}

async function unsettled(
  deps: ProcessDeps,
  error: unknown,
  events: readonly IncomingEvent[],
  entries: readonly ClaimedEntry[],
): Promise<Stored> {
  const message = error instanceof Error ? error.message : String(error)
  const settled: string[] = []
  const transient = helpsToRetry(error)
  const away = error instanceof StoreAway
  const deliveries = new Map(entries.map((entry) => [entry.id, entry.deliveries]))
  for (const event of events) {
    if (away || (transient && (deliveries.get(event.entry.id) ?? 1) < deps.maxDeliveries)) {
      deps.counts.retries += 1
      continue
    }
    const reason = transient
      ? `transient_exceeded_max_deliveries:${message}`
      : `pg_permanent_error:${message}`
    if (await bury(deps, event.entry, reason)) settled.push(event.entry.id)
  }
  if (settled.length < events.length)
    deps.log.warn({ err: error, events: events.length }, 'audit_ingest_retry')
  return { settled, away }
}

function isAway(db: Database): Promise<boolean> {
  return db.ping().then(
    () => false,
    () => true,
  )
}

async function bury(
  deps: ProcessDeps,
  entry: ClaimedEntry | IncomingEvent['entry'],
  reason: string,
): Promise<boolean> {
  if (reason === 'hmac_verify_failed') deps.counts.hmacFailures += 1
  if (reason.startsWith('json_parse_error:')) deps.counts.parseErrors += 1
  try {
    await deadLetter(deps, entry, reason)
    deps.counts.deadLetters += 1
    return true
  } catch (error) {
    deps.log.error({ err: error, entry: entry.id, reason }, 'audit_dead_letter_failed')
    return false
  }
}
