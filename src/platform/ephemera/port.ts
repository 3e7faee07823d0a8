/**
 * Short-lived shared facts: one-use markers, counters and leases, kept in Redis
 * or in an unlogged Postgres table. Nothing here is ever the only copy of product
 * state (storage-and-operations §7.3–§7.5). Every method rejects with
 * `EphemeraUnavailable` when the store cannot be reached; callers that decide
 * authority then deny.
 *
 * Calls of one tick may share a trip to the store.
 */
import type { Database } from '../db/port.ts'

export class EphemeraUnavailable extends Error {
  override readonly name = 'EphemeraUnavailable'
}

export interface Counter {
  readonly count: number
  /** Milliseconds until the window ends. */
  readonly remainingMs: number
}

/**
 * `fresh`: first use. `replayed`: the marker was there. `predates_memory`: the token is not younger
 * than the memory itself, so it must be refused and nobody can say whether it was used.
 */
export type ClaimOutcome = 'fresh' | 'replayed' | 'predates_memory'

export interface Ephemera extends AsyncDisposable {
  readonly driver: 'redis' | 'postgres'
  /** The store these keys are kept in, where it is one of ours. */
  readonly database?: Database
  ping(): Promise<void>
  /** SET NX PX: true when the key was absent (or expired) and is now set. */
  setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean>
  set(key: string, value: string, ttlMs: number): Promise<void>
  get(key: string): Promise<string | null>
  /** GET and DEL in one step: a value read this way is read once. */
  take(key: string): Promise<string | null>
  delete(key: string): Promise<void>
  /** Renews a lease only if it still holds `value`. */
  extendIfEquals(key: string, value: string, ttlMs: number): Promise<boolean>
  /** Releases a lease only if it still holds `value`. */
  deleteIfEquals(key: string, value: string): Promise<boolean>
  /**
   * Keeps the greatest of the decimals written under `key`, of any length, and renews its time to
   * live: a late or repeated write never lowers it.
   */
  raise(key: string, decimal: string, ttlMs: number): Promise<void>
  /** A window that begins with the first call: adds `by` (default 1) and starts its clock on the first, atomically; answers the sum. */
  increment(key: string, windowMs: number, by?: number): Promise<Counter>
  /**
   * Counts one call in the window of the store's clock that it falls in, under `<key>:<n>`, the n-th window of that
   * length since 1970: of a minute, the minute. It answers the sum and what is left of the window.
   */
  countInWindow(key: string, windowMs: number): Promise<Counter>
  readonly replay: ReplayMemory
}

/** How long a count outlives the start of its window: 90 seconds for a minute. */
export const keptFor = (windowMs: number): number => 1.5 * windowMs

/** One use of a token in the replay memory: the arguments of `claim`. */
export interface OneUse {
  readonly key: string
  readonly value: string
  readonly ttlMs: number
  /** Unix seconds. */
  readonly issuedAt: number
}

export interface ClaimsInPassing {
  /** False when this process knows the key as claimed: a statement would only be refused. */
  mayBeFresh(key: string): boolean
  /** What became of a claim that such a statement made. */
  made(use: OneUse, outcome: ClaimOutcome): void
}

/** The one replay memory of storage-and-operations §7.4 behind `seen:jti:`, `caracal:control:jti:` and `caracal:sts:gw-nonce:`. */
export interface ReplayMemory {
  /**
   * Claims `key` once for `ttlMs`. With `issuedAt` (Unix seconds, database clock) the claim also
   * fails as `predates_memory` when the token is not younger than the memory.
   */
  claim(key: string, value: string, ttlMs: number, issuedAt: number | null): Promise<ClaimOutcome>
  /** True when a token issued at `issuedAt` (Unix seconds) is younger than the memory, without claiming anything. */
  remembers(issuedAt: number): Promise<boolean>
  /** Where a statement of the same store may make a claim in passing, with a write of its own. */
  readonly inPassing?: ClaimsInPassing
  /** Establishes or adopts the birth sentinel; a process that created it waits until the database clock left the birth second. */
  establish(signal: AbortSignal): Promise<void>
}
