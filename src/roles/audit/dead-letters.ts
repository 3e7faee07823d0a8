/**
 * What an operator sees of the dead letters, and how they go back to the stream
 * (audit-and-events §6.4, §7.2). Only what Postgres once refused may be tried again;
 * integrity and parse failures never become evidence.
 */

import type { Bus, StreamEntry } from '../../platform/bus/port.ts'
import type { Database } from '../../platform/db/port.ts'
import { type JsonObject, parseJsonObject } from '../../platform/json.ts'
import { auditDeadLetterStream, auditStream } from './frame.ts'
import { markReplayed } from './store/dead-letters.ts'

interface DeadLetterView {
  readonly id: string
  readonly source_id?: string
  readonly reason: string
  readonly received_at?: string
  readonly age_seconds: number
  readonly replayable: boolean
  readonly event_id?: string
  readonly zone_id?: string
  readonly event_type?: string
  readonly request_id?: string
  readonly decision?: string
  readonly source_sig?: string
}

interface ReplayCounts {
  readonly scanned: number
  readonly replayed: number
  readonly skipped: number
}

export interface DeadLetters {
  /** Oldest first. `start` is an entry id, `(<id>` for behind it, or `-`. */
  list(start: string, limit: number): Promise<StreamEntry[]>
  get(id: string): Promise<StreamEntry | null>
  /** The entry as listed. What the text says of itself is shown even when it was not trusted. */
  view(entry: StreamEntry): DeadLetterView
  /** Looks at the oldest entries up to `limit`; `ids` narrows to those. Entries already moved stay moved when it rejects. */
  replay(limit: number, ids: ReadonlySet<string> | null): Promise<ReplayCounts>
}

/** What a `Date` holds at most. */
const lastInstantMs = 8.64e15

const replayableReason = /^(?:transient_exceeded_max_deliveries|pg_permanent_error):/

/** True when the entry may be stored after all. */
function isReplayable(entry: StreamEntry): boolean {
  return replayableReason.test(entry.fields.reason ?? '') && (entry.fields.src_data ?? '').trim() !== ''
}

export function createDeadLetters(bus: Bus, db: Database): DeadLetters {
  const list: DeadLetters['list'] = (start, limit) => bus.range(auditDeadLetterStream, start, limit)

  async function moveBack(entry: StreamEntry): Promise<void> {
    const { src_data: data = '', src_sig: sig } = entry.fields
    const [outcome] = await bus.publish([
      { stream: auditStream, fields: sig === undefined ? { data } : { data, sig } },
    ])
    if (outcome?.ok !== true) throw new Error(`replay stopped: ${outcome?.message ?? 'no answer'}`)
    // A crash in between leaves the entry for another replay; the ledger recognises the repeat.
    await bus.remove(auditDeadLetterStream, [entry.id])
  }

  return {
    list,

    view: (entry) => viewOf(entry, bus.driver),

    async get(id) {
      const [entry] = await list(id, 1)
      return entry?.id === id ? entry : null
    },

    async replay(limit, ids) {
      const entries = (await list('-', limit)).filter((entry) => ids === null || ids.has(entry.id))
      const moved: string[] = []
      try {
        for (const entry of entries.filter(isReplayable)) {
          await moveBack(entry)
          moved.push(entry.id)
        }
      } finally {
        await markReplayed(db, moved)
      }
      return { scanned: entries.length, replayed: moved.length, skipped: entries.length - moved.length }
    },
  }
}

/** Unix milliseconds; null where the field is missing or no time. */
function receivedAt({ fields }: StreamEntry): number | null {
  const ms = Number(fields.received_at)
  return ms > 0 && ms <= lastInstantMs ? ms : null
}

/** Since the entry was received: under Redis its id tells when; elsewhere only the field does. */
export function ageSeconds(entry: StreamEntry, driver: Bus['driver']): number {
  const added = driver === 'redis' ? Number(entry.id.split('-')[0]) : receivedAt(entry)
  return added === null ? 0 : Math.max(0, (Date.now() - added) / 1000)
}

function viewOf(entry: StreamEntry, driver: Bus['driver']): DeadLetterView {
  const { fields } = entry
  const claimed = claimedEvent(entry)
  const receivedMs = receivedAt(entry)
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)
  const members = {
    source_id: text(fields.src_id),
    received_at: receivedMs === null ? undefined : new Date(receivedMs).toISOString(),
    event_id: text(claimed.id) ?? text(fields.src_event_id),
    zone_id: text(claimed.zone_id),
    event_type: text(claimed.event_type),
    request_id: text(claimed.request_id),
    decision: text(claimed.decision),
    source_sig: text(fields.src_sig),
  }
  return {
    id: entry.id,
    reason: fields.reason ?? '',
    age_seconds: Math.floor(ageSeconds(entry, driver)),
    replayable: isReplayable(entry),
    ...(Object.fromEntries(
      Object.entries(members).filter(([, value]) => value !== undefined),
    ) as Partial<DeadLetterView>),
  }
}

/** The parsed source event, `{}` when the text is not a JSON object. */
export function claimedEvent(entry: StreamEntry): JsonObject {
  return parseJsonObject(entry.fields.src_data ?? '') ?? {}
}
