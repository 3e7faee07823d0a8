/**
 * The first look at a stream entry, before any database work (audit-and-events §6.3):
 * either an authentic, well-formed event or the reason why it can never become one.
 */
import type { StreamEntry } from '../../../platform/bus/port.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { type Instant, isHashable, parseInstant, storableJson } from '../canonical.ts'
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

/** Strings where they are given; null is as good as nothing (audit-and-events §1). */
const textMembers = [
  'id',
  'zone_id',
  'event_type',
  'request_id',
  'decision',
  'policy_set_id',
  'policy_set_version_id',
  'manifest_sha',
  'evaluation_status',
  'occurred_at',
] as const

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
  const wrong = textMembers.find((name) => members[name] != null && typeof members[name] !== 'string')
  if (wrong !== undefined) return malformed(`${wrong} is not a string`)
  const text = (name: (typeof textMembers)[number]) => (members[name] ?? '') as string
  const id = text('id')
  const zoneId = text('zone_id')
  if (id === '') return malformed('id is missing')
  if (zoneId === '') return malformed('zone_id is missing')
  const occurredAt = parseInstant(text('occurred_at'))
  if (occurredAt === null) return malformed('occurred_at is missing or not RFC 3339')
  if (!isHashable(occurredAt)) return malformed('occurred_at is out of range')
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
