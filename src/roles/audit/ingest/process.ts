/**
 * What happens to a batch of claimed entries (audit-and-events §6.3). An entry is
 * acknowledged only after it was stored, recognised as a duplicate, or durably dead-lettered;
 * everything else stays pending and is seen again.
 */
import type { Logger } from 'pino'
import type { Bus, ClaimedEntry, WorkGroup } from '../../../platform/bus/port.ts'
import type { Database } from '../../../platform/db/port.ts'
import { isUnavailable } from '../../../platform/db/unavailable.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { type Appended, appendEvents } from './append.ts'
import { classify, type IncomingEvent } from './classify.ts'
import { deadLetter } from './dead-letter.ts'

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
}

/** Handles one batch. Never rejects: what could not be settled stays pending. */
export async function processEntries(deps: ProcessDeps, entries: readonly ClaimedEntry[]): Promise<void> {
  const events: IncomingEvent[] = []
  const settled: string[] = []
  for (const entry of entries) {
    const classified = classify(entry, deps.key)
    if (classified.ok) events.push(classified.event)
    else if (await bury(deps, entry, classified.reason)) settled.push(entry.id)
  }
  settled.push(...(await storeAll(deps, events, entries)))
  if (settled.length === 0) return
  await deps.group.ack(settled).catch((error: unknown) => {
    // Redelivered later and recognised as duplicates.
    deps.log.warn({ err: error, entries: settled.length }, 'audit_ack_failed')
  })
}

async function storeAll(
  deps: ProcessDeps,
  events: readonly IncomingEvent[],
  entries: readonly ClaimedEntry[],
): Promise<string[]> {
  if (events.length === 0) return []
  try {
    return await settle(deps, await appendEvents(deps.db, deps.key, events))
  } catch (error) {
    // One event Postgres refuses must not hold back its neighbours: try them one by one.
    if (!isUnavailable(error) && events.length > 1) {
      const settled: string[] = []
      for (const event of events) settled.push(...(await storeAll(deps, [event], entries)))
      return settled
    }
    return unsettled(deps, error, events, entries)
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
): Promise<string[]> {
  const message = error instanceof Error ? error.message : String(error)
  const settled: string[] = []
  const transient = isUnavailable(error)
  for (const event of events) {
    const deliveries = entries.find((entry) => entry.id === event.entry.id)?.deliveries ?? 1
    if (transient && deliveries < deps.maxDeliveries) {
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
  return settled
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
