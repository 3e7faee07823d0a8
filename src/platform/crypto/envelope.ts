/**
 * CSS1, the envelope every secret at rest is in (storage-and-operations §8.1):
 * a fresh data key per value, itself sealed under the key-encryption key, and an
 * AAD that binds the value to the place it is kept in.
 *
 *   0 "CSS1" | 4 KEK id (8) | 12 nonce | 24 data key + tag (48) | 72 nonce | 84 value + tag
 */
import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto'
import type { EnvelopeCipher } from './port.ts'

const magic = Buffer.from('CSS1', 'ascii')
const dataKeyAad = Buffer.from('caracal.css1.dek', 'ascii')
const algorithm = 'chacha20-poly1305'
const nonceBytes = 12
const tagBytes = 16
const keyBytes = 32
const valueNonceAt = 72
const valueAt = 84
const minimumBytes = valueAt + tagBytes

export type EnvelopeFailure =
  | 'too_short'
  | 'unknown_format'
  | 'different_kek'
  | 'data_key_rejected'
  | 'value_rejected'

const failureText: Readonly<Record<EnvelopeFailure, string>> = {
  too_short: 'envelope is too short',
  unknown_format: 'envelope has an unknown format',
  different_kek: 'envelope is sealed under a different KEK',
  data_key_rejected: 'envelope data key was rejected',
  value_rejected: 'envelope value was rejected',
}

/** An envelope that does not open. The reason is safe to log; it says nothing about the value. */
export class EnvelopeError extends Error {
  override readonly name = 'EnvelopeError'
  readonly reason: EnvelopeFailure
  constructor(reason: EnvelopeFailure) {
    super(failureText[reason])
    this.reason = reason
  }
}

function kekId(kek: Uint8Array): Buffer {
  return hash('sha256', kek, 'buffer').subarray(0, 8)
}

function sealChunk(key: Uint8Array, nonce: Uint8Array, value: Uint8Array, aad: Uint8Array): Buffer {
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(aad, { plaintextLength: value.length })
  return Buffer.concat([cipher.update(value), cipher.final(), cipher.getAuthTag()])
}

function openChunk(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Buffer | null {
  const body = sealed.subarray(0, sealed.length - tagBytes)
  const decipher = createDecipheriv(algorithm, key, nonce, { authTagLength: tagBytes })
  decipher.setAAD(aad, { plaintextLength: body.length })
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes))
  const value = decipher.update(body)
  try {
    decipher.final()
    return value
  } catch {
    value.fill(0)
    return null
  }
}

/**
 * Seals under `kek`, opens under `kek` and `previous` (chosen by the KEK id in the envelope).
 * `open` throws `EnvelopeError` and never returns part of a value.
 */
export function createEnvelopeCipher(keys: {
  readonly kek: Buffer
  readonly previous?: Buffer | null
}): EnvelopeCipher {
  const current = { id: kekId(keys.kek), key: keys.kek }
  const openers = [current]
  if (keys.previous) openers.push({ id: kekId(keys.previous), key: keys.previous })

  return {
    keyId: current.id.toString('hex'),

    seal(value, aad) {
      const dataKey = randomBytes(keyBytes)
      try {
        const dataKeyNonce = randomBytes(nonceBytes)
        const valueNonce = randomBytes(nonceBytes)
        return Buffer.concat([
          magic,
          current.id,
          dataKeyNonce,
          sealChunk(current.key, dataKeyNonce, dataKey, dataKeyAad),
          valueNonce,
          sealChunk(dataKey, valueNonce, value, Buffer.from(aad, 'utf8')),
        ])
      } finally {
        dataKey.fill(0)
      }
    },

    open(envelope, aad) {
      if (envelope.length < minimumBytes) throw new EnvelopeError('too_short')
      const bytes = Buffer.from(envelope.buffer, envelope.byteOffset, envelope.byteLength)
      if (!bytes.subarray(0, 4).equals(magic)) throw new EnvelopeError('unknown_format')
      const opener = openers.find((candidate) => bytes.subarray(4, 12).equals(candidate.id))
      if (!opener) throw new EnvelopeError('different_kek')
      const dataKey = openChunk(
        opener.key,
        bytes.subarray(12, 24),
        bytes.subarray(24, valueNonceAt),
        dataKeyAad,
      )
      if (dataKey === null) throw new EnvelopeError('data_key_rejected')
      try {
        const value = openChunk(
          dataKey,
          bytes.subarray(valueNonceAt, valueAt),
          bytes.subarray(valueAt),
          Buffer.from(aad, 'utf8'),
        )
        if (value === null) throw new EnvelopeError('value_rejected')
        return value
      } finally {
        dataKey.fill(0)
      }
    },
  }
}
