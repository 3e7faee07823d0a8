/**
 * What the control plane defines and an exchange reads: applications, resources
 * with their provider and sealed credential, signing keys. Kept in memory and
 * never trusted by age: every read snapshot carries the row versions it saw, and
 * a cached definition is used only when its version is exactly the one in the
 * snapshot (design §3), or when the write proves that none of the zone has changed
 * since (`recent-exchanges.ts`). A lost invalidation therefore cannot keep one alive.
 */
import { LRUCache } from 'lru-cache'
import type { DeclaredOperation } from './declared-operations.ts'

export interface ApplicationDefinition {
  readonly id: string
  readonly zoneId: string
  readonly name: string
  readonly registrationMethod: 'managed' | 'dcr'
  readonly secretHash: string | null
  readonly traits: readonly string[]
}

export interface ProviderDefinition {
  readonly id: string
  readonly kind: string
  readonly config: Readonly<Record<string, unknown>>
  /** CSS1 envelope of the secret document, `null` when none is stored. */
  readonly sealedSecrets: Buffer | null
}

export interface ResourceDefinition {
  readonly id: string
  readonly zoneId: string
  readonly identifier: string
  readonly upstreamUrl: string | null
  readonly scopes: readonly string[]
  readonly operations: readonly DeclaredOperation[]
  readonly operationEnforcement: 'enforced' | 'transport_uniform'
  /** `null`: the resource names no provider. `'missing'`: it names one that is archived or gone. */
  readonly provider: ProviderDefinition | 'missing' | null
}

/** A definition together with the row versions it was read at. */
export interface Versioned<T> {
  readonly version: string
  readonly value: T
}

export interface VersionedCache<T extends object> {
  /** What is cached, whatever its version; the caller holds on to it while the store compares versions. */
  held(key: string): Versioned<T> | null
  put(key: string, entry: Versioned<T>): void
  clear(): void
}

/** Bounded; entries also end after `ttlMs` as the last net. */
export function createVersionedCache<T extends object>(options: {
  readonly max: number
  readonly ttlMs: number
}): VersionedCache<T> {
  const entries = new LRUCache<string, Versioned<T>>({ max: options.max, ttl: options.ttlMs })
  return {
    held: (key) => entries.get(key) ?? null,
    put: (key, entry) => {
      entries.set(key, entry)
    },
    clear: () => entries.clear(),
  }
}
