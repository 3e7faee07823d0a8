/** What a verifier asks about revocation (sdk-cli-console §9.4). */
type Awaitable<T> = T | Promise<T>

export interface RevocationStore {
  /** Whether an authority record, session or delegation is revoked. */
  isRevoked(anchorId: string): Awaitable<boolean>
  markRevoked(anchorId: string, ttlMs?: number): Awaitable<void>
  /** The zone's delegation graph epoch, 0 when unknown. */
  currentDelegationEpoch?(zoneId: string): Awaitable<number>
  /** Only ever raises the epoch. */
  markDelegationEpoch?(zoneId: string, epoch: number, ttlMs?: number): Awaitable<void>
}

export const defaultRevocationTtlMs = 24 * 60 * 60_000
const defaultMaxEntries = 100_000

/** For development and tests: one process, nothing survives it. Throws when it is full. */
export class InMemoryRevocationStore implements RevocationStore {
  readonly #revoked = new Map<string, number>()
  readonly #epochs = new Map<string, { readonly epoch: number; readonly until: number }>()
  readonly #maxEntries: number
  readonly #ttlMs: number

  constructor(options: { readonly ttlMs?: number; readonly maxEntries?: number } = {}) {
    this.#ttlMs = options.ttlMs ?? defaultRevocationTtlMs
    this.#maxEntries = options.maxEntries ?? defaultMaxEntries
  }

  isRevoked(anchorId: string): boolean {
    return (this.#revoked.get(anchorId) ?? 0) > Date.now()
  }

  markRevoked(anchorId: string, ttlMs = this.#ttlMs): void {
    const now = Date.now()
    if (this.#revoked.size >= this.#maxEntries && !this.#revoked.has(anchorId)) {
      for (const [id, until] of this.#revoked) if (until <= now) this.#revoked.delete(id)
      // Forgetting a revocation to make room would let it through.
      if (this.#revoked.size >= this.#maxEntries) throw new Error('the in-memory revocation store is full')
    }
    this.#revoked.set(anchorId, now + ttlMs)
  }

  currentDelegationEpoch(zoneId: string): number {
    const entry = this.#epochs.get(zoneId)
    return entry !== undefined && entry.until > Date.now() ? entry.epoch : 0
  }

  markDelegationEpoch(zoneId: string, epoch: number, ttlMs = this.#ttlMs): void {
    this.#epochs.set(zoneId, {
      epoch: Math.max(epoch, this.currentDelegationEpoch(zoneId)),
      until: Date.now() + ttlMs,
    })
  }
}
