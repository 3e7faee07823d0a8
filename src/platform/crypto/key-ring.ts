/** Turns the configured hex keys into the process's key ring (storage-and-operations §9.1). */
import type { HmacKey, KeyRing } from '../keys.ts'
import { hmacKeyProblem } from './hmac.ts'

type KeyName = 'AUDIT_HMAC_KEY' | 'STREAMS_HMAC_KEY' | 'GATEWAY_STS_HMAC_KEY' | 'IDEMPOTENCY_HMAC_KEY'

/** The members of `Settings` this needs; hex text, `null` when unset. */
export type KeySettings = Readonly<Record<KeyName | `${KeyName}_PREVIOUS`, string | null>> & {
  readonly CARACAL_MODE: 'dev' | 'rc' | 'stable'
}

const developmentIdempotencyKey = 'caracal-development-idempotency-key'

function parseKey(name: string, value: string | null): Buffer | null {
  if (value === null || value === '') return null
  const problem = hmacKeyProblem(value)
  if (problem !== null) throw new Error(`${name} ${problem}`)
  return Buffer.from(value, 'hex')
}

function rotationPair(current: Buffer | null, previous: Buffer | null): HmacKey {
  if (current === null) return { current: null, accepted: [] }
  return { current, accepted: previous === null ? [current] : [current, previous] }
}

/**
 * Opens the key ring. Throws a sentence naming the variable for a malformed key. Which keys a role
 * must have is the configuration's business; here an absent key is `null`.
 */
export function keyRing(settings: KeySettings): KeyRing {
  const pair = (name: KeyName): HmacKey =>
    rotationPair(parseKey(name, settings[name]), parseKey(`${name}_PREVIOUS`, settings[`${name}_PREVIOUS`]))
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
