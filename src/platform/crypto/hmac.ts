/**
 * HMAC-SHA256 with rotation pairs: `current` signs, everything in `accepted`
 * verifies. A key that is `null` exists in dev mode only and means "nothing is
 * signed, everything verifies" (audit-and-events §2).
 */
import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import type { HmacKey } from '../keys.ts'

/** Lower-case hex HMAC-SHA256. */
export function hmacHex(key: Uint8Array, data: string | Uint8Array): string {
  return createHmac('sha256', key).update(data).digest('hex')
}

/** Lower-case hex SHA-256. */
export function sha256Hex(data: string | Uint8Array): string {
  return hash('sha256', data, 'hex')
}

/** Hex signature under the current key, `null` when there is no key. */
export function signHmac(key: HmacKey, data: string | Uint8Array): string | null {
  return key.current === null ? null : hmacHex(key.current, data)
}

/** True when `signature` (hex, any case) is made with one of the accepted keys, or when no key is configured. */
export function verifyHmac(
  key: HmacKey,
  data: string | Uint8Array,
  signature: string | null | undefined,
): boolean {
  if (key.current === null) return true
  if (signature == null || !/^[0-9a-fA-F]{64}$/.test(signature)) return false
  const presented = Buffer.from(signature, 'hex')
  let valid = false
  for (const accepted of key.accepted) {
    const expected = createHmac('sha256', accepted).update(data).digest()
    if (timingSafeEqual(expected, presented)) valid = true
  }
  return valid
}

/** Equality of two secrets in time that depends on neither; lengths are hidden behind a digest. */
export function secretEquals(presented: string, expected: string): boolean {
  return timingSafeEqual(hash('sha256', presented, 'buffer'), hash('sha256', expected, 'buffer'))
}
