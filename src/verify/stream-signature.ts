/** The signature of event stream entries (sdk-cli-console §9.4). */
import { createHmac, timingSafeEqual } from 'node:crypto'

type Fields = Readonly<Record<string, string | null | undefined>>

/** Lowercase hex HMAC-SHA256 over stream name and sorted fields; `hexKey` as STREAMS_HMAC_KEY. */
export function signStreamEntry(hexKey: string, stream: string, fields: Fields): string {
  const mac = createHmac('sha256', Buffer.from(hexKey, 'hex')).update(`${stream}\n`)
  for (const name of Object.keys(fields).sort()) {
    const value = fields[name]
    if (name !== '_sig' && value !== null && value !== undefined) mac.update(`${name}=${value}\n`)
  }
  return mac.digest('hex')
}

export function verifyStreamEntry(hexKey: string, stream: string, fields: Fields): boolean {
  const expected = Buffer.from(signStreamEntry(hexKey, stream, fields))
  const given = Buffer.from(fields._sig ?? '')
  return given.length === expected.length && timingSafeEqual(given, expected)
}
