/** ES256 keys in the forms they travel in: PEM at rest, JWK in public (sts §7.1–§7.2, gateway §6). */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
import { decodeBase64url } from './compact.ts'

/** A published signing key: all seven members are mandatory, v1 verifiers skip a key that lacks one. */
export interface PublicSigningKey extends JWK {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly use: 'sig'
  readonly kid: string
  readonly alg: 'ES256'
  readonly x: string
  readonly y: string
  /** Only in the union document of all zones. */
  readonly zone_id?: string
}

/** A new P-256 private key as SEC 1 PEM (`-----BEGIN EC PRIVATE KEY-----`). */
export function generateSigningKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  return privateKey.export({ type: 'sec1', format: 'pem' }) as string
}

/** Opens SEC 1 or PKCS#8 PEM. Throws when it is not a P-256 private key. */
export function openSigningKey(pem: string): KeyObject {
  const key = createPrivateKey(pem)
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new Error('signing key is not an ECDSA P-256 key')
  }
  return key
}

/** The public half of an opened signing key as it is published. */
export function publicJwk(kid: string, key: KeyObject, zoneId?: string): PublicSigningKey {
  const { x, y } = createPublicKey(key).export({ format: 'jwk' })
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    use: 'sig',
    kid,
    alg: 'ES256',
    x: x as string,
    y: y as string,
  } as const
  return zoneId === undefined ? jwk : { ...jwk, zone_id: zoneId }
}

function isCoordinate(value: unknown): value is string {
  return typeof value === 'string' && decodeBase64url(value)?.length === 32
}

/** The key of a JWK that may verify mandates, or `null` for any other (gateway §6). */
export function importVerificationJwk(jwk: JWK): { readonly kid: string; readonly key: KeyObject } | null {
  if (jwk.kty !== 'EC' || jwk.crv !== 'P-256' || jwk.alg !== 'ES256') return null
  if (jwk.use !== undefined && jwk.use !== 'sig') return null
  if (jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify')))
    return null
  if (typeof jwk.kid !== 'string' || jwk.kid === '' || !isCoordinate(jwk.x) || !isCoordinate(jwk.y))
    return null
  try {
    const key = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: jwk.x, y: jwk.y }, format: 'jwk' })
    return { kid: jwk.kid, key }
  } catch {
    return null
  }
}
