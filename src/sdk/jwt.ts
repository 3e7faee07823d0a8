/** Claims of a compact JWT, unverified: for choosing locally, never for trusting. */
import { jsonObject } from './read-body.ts'

/** Header and claims when `token` is shaped like a JWT; null for an opaque one. */
export function decodeJwt(token: string): {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
} | null {
  const parts = token.split('.')
  if (parts.length !== 3) return null
  const [header, claims] = parts
    .slice(0, 2)
    .map((part) => jsonObject(Buffer.from(part, 'base64url').toString('utf8')))
  return header && claims ? { header, claims } : null
}
