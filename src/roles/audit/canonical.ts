/**
 * The canonical stored form of an event and its content hash (audit-and-events §5.1–§5.3).
 * What is hashed is exactly what Postgres gives back, so a reader in any language
 * can recompute it from the row alone.
 */
import { createHmac, hash } from 'node:crypto'
import { isRealDate } from '../../platform/real-date.ts'

/** An event ready to be stored: strings without NUL, JSON as `jsonb::text`, time in microseconds. */
export interface StoredForm {
  readonly id: string
  readonly zoneId: string
  readonly eventType: string
  readonly requestId: string
  readonly decision: string
  readonly policySetId: string
  readonly policySetVersionId: string
  readonly manifestSha: string
  readonly evaluationStatus: string
  /** `jsonb::text`, null for SQL NULL. */
  readonly determiningPolicies: string | null
  readonly diagnostics: string | null
  readonly metadata: string | null
  readonly occurredAt: Instant
}

export interface Instant {
  /** Unix time in microseconds. */
  readonly micros: bigint
  /** `YYYY-MM-DDTHH:MM:SS.ffffffZ`, what is bound as timestamptz. */
  readonly text: string
}

/** Between the fields of the text a hash covers. */
export const hashedSeparator = '\x1f'

/** The text of audit-and-events §5.2; with another separator than that of the hash it is only a way to send the fields. */
export function canonicalText(form: StoredForm, separator = hashedSeparator): string {
  return (
    form.id +
    separator +
    form.zoneId +
    separator +
    form.eventType +
    separator +
    form.requestId +
    separator +
    form.decision +
    separator +
    form.policySetId +
    separator +
    form.policySetVersionId +
    separator +
    form.manifestSha +
    separator +
    form.evaluationStatus +
    separator +
    (form.determiningPolicies ?? 'null') +
    separator +
    (form.diagnostics ?? 'null') +
    separator +
    (form.metadata ?? 'null') +
    separator +
    String(form.occurredAt.micros * 1000n)
  )
}

/** `content_sha256` of audit-and-events §5.2, lower-case hex. */
export function contentHash(form: StoredForm): string {
  return hashOfText(canonicalText(form))
}

/** `contentHash` of whoever has the text already. */
export function hashOfText(canonical: string): string {
  return hash('sha256', canonical, 'hex')
}

/** `chain_hmac`: keyed link of a content hash to its predecessor; empty without a key. */
export function linkHmac(key: Buffer | null, content: string, previous: string | null): string {
  if (key === null) return ''
  return createHmac('sha256', key)
    .update(`${content}|${previous ?? ''}`)
    .digest('hex')
}

/** First 8 bytes of SHA-256(key), hex: tells which key made a row's `chain_hmac`. */
export function chainKeyId(key: Buffer | null): string | null {
  return key === null ? null : hash('sha256', key, 'hex').slice(0, 16)
}

const rfc3339 = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/

/** Parses RFC 3339 with any fraction up to 9 digits and any offset; truncates to microseconds. Null when it is not one. */
export function parseInstant(text: string): Instant | null {
  const match = rfc3339.exec(text)
  if (match === null) return null
  const second = `${match[1]}T${match[2]}${(match[4] ?? 'Z').toUpperCase()}`
  if (second !== latest.text) latest = { text: second, ...secondOf(second) }
  if (latest.whole === null) return null
  const fraction = (match[3] ?? '').padEnd(6, '0').slice(0, 6)
  return { micros: latest.micros + BigInt(fraction), text: `${latest.whole}.${fraction}Z` }
}

/** The second that was asked for last: the events of a batch share a few. */
let latest: { readonly text: string; readonly micros: bigint; readonly whole: string | null } = {
  text: '',
  micros: 0n,
  whole: null,
}

function secondOf(text: string): { readonly micros: bigint; readonly whole: string | null } {
  const milliseconds = Date.parse(text)
  if (Number.isNaN(milliseconds) || !isRealDate(`${text.slice(0, 19)}Z`)) return { micros: 0n, whole: null }
  const whole = new Date(milliseconds).toISOString()
  if (whole.startsWith('-') || whole.startsWith('+')) return { micros: 0n, whole: null }
  return { micros: BigInt(milliseconds) * 1000n, whole: whole.slice(0, 19) }
}

/** The hash covers nanoseconds in 64 bits: the years 1677 to 2262. */
export function isHashable({ micros }: Instant): boolean {
  return BigInt.asIntN(64, micros * 1000n) === micros * 1000n
}

const unstorable = /\\u(?:0000|[dD][89a-fA-F])/
/** NUL, a surrogate with or without its other half, or any other escape. */
const escapes =
  /\\(?:u0000|u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[dD][89a-fA-F][\da-fA-F]{2}|[\s\S])/g

/**
 * A JSON text as jsonb can hold it, keys included: without escaped U+0000, half a surrogate pair replaced
 * by U+FFFD. All other bytes stay (numbers keep their spelling).
 */
export function storableJson(json: string): string {
  if (!unstorable.test(json)) return json
  return json.replace(escapes, (found) => {
    if (found === '\\u0000') return ''
    return found.length === '\\ud800'.length ? '\ufffd' : found
  })
}
