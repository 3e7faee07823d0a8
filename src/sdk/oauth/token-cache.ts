/**
 * Mandates in memory, keyed by what was asked under which identity. Keys are an HMAC under
 * a key of this process, so that no secret can be read from the cache (sdk-cli-console §5.1).
 */
import { createHmac, randomBytes } from 'node:crypto'

const processKey = randomBytes(32)
const maxEntries = 10_000

/** A stable name for `parts` that reveals none of them. */
export function fingerprint(...parts: readonly (string | undefined)[]): string {
  const mac = createHmac('sha256', processKey)
  for (const part of parts) mac.update(part === undefined ? '-' : `${Buffer.byteLength(part)}:${part}`)
  return mac.digest('base64url')
}

export interface Mandate {
  readonly accessToken: string
  /** Remaining seconds at the time of the answer. */
  readonly expiresInSeconds: number
  readonly scope: string | undefined
  readonly targetResources: readonly string[] | undefined
}

export interface TokenCache {
  /** A mandate with enough life left; its `expiresInSeconds` counts from now. */
  get(key: string): Mandate | null
  set(key: string, mandate: Mandate): void
  delete(key: string): void
  clear(): void
}

interface Entry {
  readonly mandate: Mandate
  readonly expiresAt: number
  readonly marginMs: number
}

/** `timeoutMs` is that of an exchange: a mandate is renewed while the old one still outlives one. */
export function createTokenCache(timeoutMs: number, now: () => number = Date.now): TokenCache {
  const entries = new Map<string, Entry>()
  return {
    get(key) {
      const entry = entries.get(key)
      if (entry === undefined) return null
      entries.delete(key)
      const left = entry.expiresAt - now()
      if (left <= entry.marginMs) return null
      entries.set(key, entry)
      return { ...entry.mandate, expiresInSeconds: Math.floor(left / 1000) }
    },
    set(key, mandate) {
      const lifeMs = mandate.expiresInSeconds * 1000
      entries.delete(key)
      entries.set(key, {
        mandate,
        expiresAt: now() + lifeMs,
        marginMs: Math.min(timeoutMs + 30_000, lifeMs / 2),
      })
      const oldest = entries.size > maxEntries ? entries.keys().next().value : undefined
      if (oldest !== undefined) entries.delete(oldest)
    },
    delete: (key) => void entries.delete(key),
    clear: () => entries.clear(),
  }
}
