/**
 * The gateway's proof over an exchange (sts §2.5, gateway §9): an HMAC over time,
 * nonce, method, path and the exact body bytes. Order of the checks is the spec's;
 * the nonce is consumed last, so a bad signature never spends one.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Ephemera } from '../../platform/ephemera/port.ts'
import type { HmacKey } from '../../platform/keys.ts'
import { accessDenied, unavailable } from './refusal.ts'

const timestampHeader = 'x-caracal-gateway-timestamp'
const nonceHeader = 'x-caracal-gateway-request'
const signatureHeader = 'x-caracal-gateway-signature'

const maxSkewSeconds = 60
const nonceLifetimeMs = 2 * maxSkewSeconds * 1000

export interface SignedParts {
  readonly timestamp: string
  readonly nonce: string
  readonly method: string
  /** URL path as sent, without the query. */
  readonly path: string
  readonly body: Uint8Array
}

/** Lower-case hex HMAC-SHA256 of the canonical string. */
export function signGatewayRequest(key: Buffer, parts: SignedParts): string {
  return mac(key, parts).toString('hex')
}

function mac(key: Buffer, parts: SignedParts): Buffer {
  const bodyHash = createHash('sha256').update(parts.body).digest('hex')
  return createHmac('sha256', key)
    .update(`${parts.timestamp}\n${parts.nonce}\n${parts.method.toUpperCase()}\n${parts.path}\n${bodyHash}`)
    .digest()
}

/** True when the request claims to come from a gateway: any of the three headers is present. */
export function claimsGateway(header: HeaderLookup): boolean {
  return [timestampHeader, nonceHeader, signatureHeader].some((name) => header(name) !== undefined)
}

/** A header of the request by its lower-case name. */
export type HeaderLookup = (name: string) => string | undefined

export interface SignatureCheck {
  readonly header: HeaderLookup
  readonly method: string
  readonly path: string
  readonly body: Uint8Array
  /** Seconds since the epoch by which the timestamp is judged. */
  readonly nowSeconds: number
}

/** Verifies the three headers and consumes the nonce. Rejects with 401 `access_denied` or 503 `sts_unavailable`. */
export async function verifyGatewaySignature(
  check: SignatureCheck,
  key: HmacKey,
  ephemera: Ephemera,
): Promise<void> {
  const nonce = verifySignature(check, key)
  try {
    const outcome = await ephemera.replay.claim(`caracal:sts:gw-nonce:${nonce}`, '1', nonceLifetimeMs, null)
    if (outcome !== 'fresh') throw invalidSignature('nonce was used before')
  } catch (error) {
    if (error instanceof Error && error.name === 'CaracalError') throw error
    throw unavailable('replay memory is unavailable', error)
  }
}

function verifySignature(check: SignatureCheck, key: HmacKey): string {
  if (key.accepted.length === 0) throw invalidSignature('no key configured')
  const timestamp = check.header(timestampHeader) ?? ''
  const nonce = check.header(nonceHeader) ?? ''
  const signature = check.header(signatureHeader) ?? ''
  if (timestamp === '' || nonce === '' || signature === '') throw invalidSignature('a header is missing')
  if (!/^[0-9]{1,15}$/.test(timestamp)) throw invalidSignature('timestamp is not a number')
  if (Math.abs(check.nowSeconds - Number(timestamp)) > maxSkewSeconds) {
    throw invalidSignature('timestamp is outside the accepted window')
  }
  if (!/^[0-9a-f]{64}$/.test(signature)) throw invalidSignature('signature is not lower-case hex')
  const presented = Buffer.from(signature, 'hex')
  const parts = { timestamp, nonce, method: check.method, path: check.path, body: check.body }
  if (!key.accepted.some((accepted) => timingSafeEqual(mac(accepted, parts), presented))) {
    throw invalidSignature('signature does not match')
  }
  return nonce
}

function invalidSignature(detail: string) {
  return accessDenied('invalid gateway exchange signature', 401, { detail })
}
