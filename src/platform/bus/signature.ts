/**
 * `_sig`, the signature of stream entries (audit-and-events §9.3). It binds the
 * fields to the name of the stream, so an entry cannot be moved to another one.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { HmacKey } from '../keys.ts'
import type { Fields } from './port.ts'

const signatureField = '_sig'

/** Values as they stand before they are sent: null and undefined are not sent and not signed. */
type Unsent = Readonly<Record<string, string | null | undefined>>

/** `stream\n`, then `name=value\n` for each field but `_sig` in ascending code-unit order. */
export function canonicalEntry(stream: string, fields: Unsent): string {
  let text = `${stream}\n`
  for (const name of Object.keys(fields).sort()) {
    const value = fields[name]
    if (name === signatureField || value === null || value === undefined) continue
    text += `${name}=${value}\n`
  }
  return text
}

/** Lower-case hex HMAC-SHA256 over the canonical bytes. */
export function entrySignature(key: Uint8Array, stream: string, fields: Unsent): string {
  return createHmac('sha256', key).update(canonicalEntry(stream, fields)).digest('hex')
}

/** The fields with `_sig` added. Without a key (dev only) they are returned as they are, never with a foreign `_sig`. */
export function signEntry(key: HmacKey, stream: string, fields: Fields): Fields {
  const { [signatureField]: _ignored, ...unsigned } = fields
  if (key.current === null) return unsigned
  return { ...unsigned, [signatureField]: entrySignature(key.current, stream, unsigned) }
}

/** True when any accepted key made `_sig`. Without a key (dev only) everything verifies. */
export function verifyEntry(key: HmacKey, stream: string, fields: Fields): boolean {
  if (key.current === null && key.accepted.length === 0) return true
  const presented = fields[signatureField]
  if (presented === undefined || !/^[0-9a-f]{64}$/.test(presented)) return false
  const expected = Buffer.from(presented, 'hex')
  let matches = false
  for (const candidate of key.accepted) {
    const made = createHmac('sha256', candidate).update(canonicalEntry(stream, fields)).digest()
    // Every key is tried, so the time does not tell which one matched.
    if (timingSafeEqual(made, expected)) matches = true
  }
  return matches
}
