/**
 * Secrets at rest: CSS1 envelopes (storage-and-operations §8) and stored credential
 * hashes (§9.3). Plain secrets live only between these calls and their use.
 */
import type { Queryable } from '../db/port.ts'

/** Seals and opens CSS1 envelopes under `SECRET_STORE_KEK` (and `_PREVIOUS` for opening). */
export interface EnvelopeCipher {
  /** First 8 bytes of SHA-256(KEK), lower-case hex. */
  readonly keyId: string
  seal(value: Uint8Array, aad: string): Buffer
  /** Throws `EnvelopeError` with a distinct reason. */
  open(envelope: Uint8Array, aad: string): Buffer
}

/** Refs and AADs of storage-and-operations §8.3; the backend only ever holds envelopes. */
export interface SecretStore {
  put(db: Queryable, ref: string, value: string): Promise<void>
  /** `null` when there is no such secret. */
  get(db: Queryable, ref: string): Promise<string | null>
  delete(db: Queryable, ref: string): Promise<void>
}

/**
 * Who waits for an answer. Its signal is asked for only where there is something to wait for: making one
 * costs a request as much as parsing it.
 */
export interface Caller {
  readonly signal: AbortSignal
}

/** Makes and checks the stored strings of storage-and-operations §9.3. */
export interface CredentialHasher {
  /** For secrets of 256 random bits that the server made: `hmac-sha256$<keyId>$<mac>`. */
  hashGenerated(secret: string): string
  /** For secrets a person chose: `scrypt$…`, off the event loop. */
  hashChosen(secret: string): Promise<string>
  /**
   * Constant-time; false for empty, unknown or malformed values. Synchronous cost for `hmac-sha256`,
   * bounded queue for `scrypt`. Rejects with the reason of the caller's signal when it left while waiting.
   */
  verify(presented: string, stored: string | null, caller?: Caller): Promise<boolean>
  /** Always false at the price of one scrypt derivation: the answer for a login name that does not exist. */
  verifyUnknown(presented: string, caller?: Caller): Promise<false>
  /** The 32 bytes of `admin_tokens.token_lookup`. */
  lookup(secret: string): Buffer
}
