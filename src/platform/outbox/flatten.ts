/** Payload → flat string map of a stream entry (audit-and-events §9.2). */
import type { Fields } from '../bus/port.ts'

const reserved: ReadonlySet<string> = new Set(['outbox_id', 'dedupe_key', '_sig'])

/** Strings verbatim, numbers and booleans as text, objects and arrays as JSON; null, undefined and reserved names are skipped. */
export function flattenPayload(payload: Readonly<Record<string, unknown>>): Fields {
  const fields: Record<string, string> = {}
  for (const [name, value] of Object.entries(payload)) {
    if (reserved.has(name) || value === null || value === undefined) continue
    fields[name] =
      typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value)
  }
  return fields
}

/**
 * The payload as it is stored: reserved names dropped, and line breaks in text values replaced by
 * a space, because the stream signature does not escape them (§9.3). JSON texts escape theirs.
 */
export function storedPayload(payload: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const stored: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(payload)) {
    if (reserved.has(name) || value === null || value === undefined) continue
    stored[name] = typeof value === 'string' ? value.replace(/\r\n|[\r\n]/g, ' ') : value
  }
  return stored
}
