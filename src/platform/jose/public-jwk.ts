/** The entries of a public ES256 key as it is published (RFC 7517, RFC 7518 §6.2), for a schema. */
import * as v from '../schema.ts'

export const publicJwkEntries = {
  kty: v.literal('EC'),
  crv: v.literal('P-256'),
  use: v.literal('sig'),
  alg: v.literal('ES256'),
  kid: v.string(),
  x: v.string(),
  y: v.string(),
}
