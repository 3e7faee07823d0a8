import { hash } from 'node:crypto'
import type { JWK } from 'jose'
import { canonicalJson } from '../../../platform/canonical-json.ts'

/** RFC 7638 thumbprint of an EC key, base64url: the `kid` of an audit key says which key it is. */
export function keyThumbprint({ crv, kty, x, y }: JWK): string {
  return hash('sha256', canonicalJson({ crv, kty, x, y }), 'base64url')
}
