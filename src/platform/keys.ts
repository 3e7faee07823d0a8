/**
 * Key material of one process, opened once at start and handed down.
 * Rotation pairs: `current` signs and seals, every entry of `accepted` verifies (current first).
 */
export interface HmacKey {
  /** Bytes; null only in dev mode without a key: nothing is signed and everything verifies. */
  readonly current: Buffer | null
  readonly accepted: readonly Buffer[]
}

export interface KeyRing {
  /** `AUDIT_HMAC_KEY` */
  readonly audit: HmacKey
  /** `STREAMS_HMAC_KEY` */
  readonly streams: HmacKey
  /** `GATEWAY_STS_HMAC_KEY` */
  readonly gatewaySts: HmacKey
  /** `IDEMPOTENCY_HMAC_KEY` */
  readonly idempotency: HmacKey
}
