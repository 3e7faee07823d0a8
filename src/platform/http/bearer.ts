/** Bearer credentials in the Authorization header. */
import type { Context } from 'hono'
import { secretEquals } from '../crypto/hmac.ts'
import { maxTokenLength } from '../jose/compact.ts'

/**
 * The token of `Authorization: Bearer <token>`, trimmed; `null` when the header is absent, of
 * another scheme (exact case), empty, or longer than 8,192 characters.
 */
export function readBearer(c: Context): string | null {
  const header = c.req.header('authorization')
  if (!header?.startsWith('Bearer ')) return null
  const token = header.slice(7).trim()
  return token === '' || token.length > maxTokenLength ? null : token
}

/** True when the request carries exactly `Bearer ` + one of `expected` (unset entries never match). Constant time. */
export function hasStaticBearer(c: Context, ...expected: readonly (string | null)[]): boolean {
  const header = c.req.header('authorization')
  const presented = header?.startsWith('Bearer ') ? header.slice(7) : ''
  let matches = false
  for (const candidate of expected) {
    if (candidate && secretEquals(presented, candidate)) matches = true
  }
  return matches
}
