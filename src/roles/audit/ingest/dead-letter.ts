/**
 * Moves an entry that can never be stored to the dead letter stream (audit-and-events §6.4)
 * and keeps a copy in Postgres. The caller acknowledges the entry only after this resolved.
 */
import type { Logger } from 'pino'
import type { Bus, StreamEntry } from '../../../platform/bus/port.ts'
import type { Database } from '../../../platform/db/port.ts'
import { auditDeadLetterStream } from '../frame.ts'
import { recordAlert } from '../store/alerts.ts'
import { recordDeadLetter } from '../store/dead-letters.ts'

/** Rejects when the stream did not take it: the entry must then stay pending. */
export async function deadLetter(
  deps: { readonly bus: Bus; readonly db: Database; readonly log: Logger },
  entry: StreamEntry,
  reason: string,
): Promise<void> {
  const original = Object.entries(entry.fields).map(([name, value]) => [
    name === 'id' ? 'src_event_id' : `src_${name}`,
    value,
  ])
  const [outcome] = await deps.bus.publish([
    {
      stream: auditDeadLetterStream,
      fields: {
        ...Object.fromEntries(original),
        reason,
        src_id: entry.id,
        received_at: String(Date.now()),
      },
    },
  ])
  if (outcome?.ok !== true) throw new Error(`dead letter refused: ${outcome?.message ?? 'no answer'}`)
  deps.log.error({ entry: entry.id, reason, event_id: entry.fields.id }, 'audit_dead_letter')
  // The stream holds it now; a copy in Postgres is worth a warning when it fails, not a second dead letter.
  await keepCopy(deps.db, outcome.id, entry, reason).catch((error: unknown) => {
    deps.log.warn({ err: error, entry: entry.id }, 'audit_dead_letter_copy_failed')
  })
}

async function keepCopy(db: Database, id: string, entry: StreamEntry, reason: string): Promise<void> {
  const claimed = identityOf(entry.fields.data)
  const eventId = claimed.eventId ?? entry.fields.id ?? null
  await recordDeadLetter(db, {
    id,
    reason,
    srcId: entry.id,
    eventId,
    zoneId: claimed.zoneId,
    data: entry.fields.data ?? null,
    sig: entry.fields.sig ?? null,
  })
  const kind =
    reason === 'hmac_verify_failed'
      ? reason
      : reason.startsWith('json_parse_error:')
        ? 'json_parse_error'
        : null
  if (kind === null) return
  await recordAlert(db, {
    eventId: eventId ?? 'unknown',
    zoneId: claimed.zoneId ?? 'unknown',
    kind,
    detail: reason,
  })
}

/** What an unverified text says of itself; a hint for the operator, nothing more. */
function identityOf(data: string | undefined): { eventId: string | null; zoneId: string | null } {
  try {
    const parsed = JSON.parse(data ?? '') as { id?: unknown; zone_id?: unknown } | null
    return {
      eventId: typeof parsed?.id === 'string' ? parsed.id : null,
      zoneId: typeof parsed?.zone_id === 'string' ? parsed.zone_id : null,
    }
  } catch {
    return { eventId: null, zoneId: null }
  }
}
