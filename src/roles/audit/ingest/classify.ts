/**
 * The first look at a stream entry, before any database work (audit-and-events §6.3):
 * either an authentic, well-formed event or the reason why it can never become one.
 */
import type { StreamEntry } from '../../../platform/bus/port.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { type Instant, parseInstant, storableJson } from '../canonical.ts'
import { isAuthentic } from '../frame.ts'

export interface IncomingEvent {
  readonly entry: StreamEntry
  /** JSON text as jsonb can hold it, numbers untouched. */
  readonly json: string
  /** The same, parsed. */
  readonly members: Readonly<Record<string, unknown>>
  readonly signature: string | null
  readonly id: string
  readonly zoneId: string
  readonly eventType: string
  readonly requestId: string
  readonly decision: string
  readonly policySetId: string
  readonly policySetVersionId: string
  readonly manifestSha: string
  readonly evaluationStatus: string
  readonly occurredAt: Instant
}

export type Classified =
  | { readonly ok: true; readonly event: IncomingEvent }
  | { readonly ok: false; readonly entry: StreamEntry; readonly reason: string }

/** Never throws. Reasons are those of the dead letter stream. */
export function classify(entry: StreamEntry, key: HmacKey): Classified {
  const data = entry.fields.data
  if (data === undefined) return { ok: false, entry, reason: 'missing_data_field' }
  const signature = entry.fields.sig
  if (!isAuthentic(data, signature, key)) return { ok: false, entry, reason: 'hmac_verify_failed' }
  const malformed = (message: string): Classified => ({
    ok: false,
    entry,
    reason: `json_parse_error:${message}`,
  })

  const json = storableJson(data)
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch (error) {
    return malformed(error instanceof SyntaxError ? 'not JSON' : 'unreadable')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    return malformed('not an object')
  const members = parsed as Record<string, unknown>
  const text = (name: string) => (typeof members[name] === 'string' ? members[name] : '')
  const id = text('id')
  const zoneId = text('zone_id')
  if (id === '') return malformed('id is missing')
  if (zoneId === '') return malformed('zone_id is missing')
  const occurredAt = parseInstant(text('occurred_at'))
  if (occurredAt === null) return malformed('occurred_at is missing or not RFC 3339')
  return {
    ok: true,
    event: {
      entry,
      json,
      members,
      signature: signature ?? null,
      id,
      zoneId,
      eventType: text('event_type'),
      requestId: text('request_id'),
      decision: text('decision'),
      policySetId: text('policy_set_id'),
      policySetVersionId: text('policy_set_version_id'),
      manifestSha: text('manifest_sha'),
      evaluationStatus: text('evaluation_status'),
      occurredAt,
    },
  }
}
