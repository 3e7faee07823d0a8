/** The envelope of gateway → STS requests (gateway §9.1): a timestamp, a nonce and an HMAC over both, the route and the body. */
import { randomBytes } from 'node:crypto'
import { hmacHex, sha256Hex } from '../../platform/crypto/hmac.ts'

export interface EnvelopeInput {
  /** Unix seconds. */
  readonly timestamp: number
  readonly nonce: string
  readonly method: string
  /** Path of the URL as sent. */
  readonly path: string
  /** The bytes as transmitted. */
  readonly body: string
}

/** `<seconds>\n<nonce>\n<METHOD>\n<path>\n<hex SHA-256 of the body>`, without a trailing newline. */
export const canonicalEnvelope = (input: EnvelopeInput): string =>
  [input.timestamp, input.nonce, input.method.toUpperCase(), input.path, sha256Hex(input.body)].join('\n')

export const envelopeSignature = (key: Uint8Array, input: EnvelopeInput): string =>
  hmacHex(key, canonicalEnvelope(input))

/** The three signature headers; none without a key (dev), which the STS then treats as an ordinary exchange. */
export function envelopeHeaders(
  key: Uint8Array | null,
  method: string,
  path: string,
  body: string,
): Readonly<Record<string, string>> {
  if (key === null) return {}
  const timestamp = Math.floor(Date.now() / 1000)
  const nonce = randomBytes(32).toString('hex')
  return {
    'X-Caracal-Gateway-Timestamp': String(timestamp),
    'X-Caracal-Gateway-Request': nonce,
    'X-Caracal-Gateway-Signature': envelopeSignature(key, { timestamp, nonce, method, path, body }),
  }
}
