/** Turns the configured hex keys into the process's key ring (storage-and-operations §9.1). */
import type { HmacKey, KeyRing } from '../keys.ts'

type KeyName = 'AUDIT_HMAC_KEY' | 'STREAMS_HMAC_KEY' | 'GATEWAY_STS_HMAC_KEY' | 'IDEMPOTENCY_HMAC_KEY'

/** The members of `Settings` this needs; hex text, `null` when unset. */
export type KeySettings = Readonly<Record<KeyName | `${KeyName}_PREVIOUS`, string | null>> & {
  readonly CARACAL_MODE: 'dev' | 'rc' | 'stable'
}

const developmentIdempotencyKey = 'caracal-development-idempotency-key'

const bytesOf = (hex: string | null): Buffer | null => (hex === null ? null : Buffer.from(hex, 'hex'))

function rotationPair(current: Buffer | null, previous: Buffer | null): HmacKey {
  if (current === null) return { current: null, accepted: [] }
  return { current, accepted: previous === null ? [current] : [current, previous] }
}

/** Opens the key ring. What a key must be, and which a role must have, is the configuration's business. */
export function keyRing(settings: KeySettings): KeyRing {
  const pair = (name: KeyName): HmacKey =>
    rotationPair(bytesOf(settings[name]), bytesOf(settings[`${name}_PREVIOUS`]))
  const idempotency = pair('IDEMPOTENCY_HMAC_KEY')
  return {
    audit: pair('AUDIT_HMAC_KEY'),
    streams: pair('STREAMS_HMAC_KEY'),
    gatewaySts: pair('GATEWAY_STS_HMAC_KEY'),
    idempotency:
      idempotency.current === null && settings.CARACAL_MODE === 'dev'
        ? rotationPair(Buffer.from(developmentIdempotencyKey, 'utf8'), null)
        : idempotency,
  }
}
