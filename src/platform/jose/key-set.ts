/**
 * Verification keys per zone, cached (gateway §6, coordinator §2.3). Zone ids and kids
 * arrive here from tokens nobody has verified yet, so the cache is bounded, one fetch
 * per zone is in flight at a time, and an unknown `kid` forces at most one refetch per
 * zone and cooldown. A set without a usable key is never kept.
 */
import type { KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
import { LRUCache } from 'lru-cache'
import { CaracalError } from '../errors.ts'
import { errorOf } from '../http/errors/registry.ts'
import { importVerificationJwk } from './zone-key.ts'

/** Who publishes the keys cannot be asked right now; whoever decides authority must deny. */
export class KeySetUnavailable extends Error {
  override readonly name = 'KeySetUnavailable'
}

/**
 * Where a zone's public keys come from: `Sts.zoneKeys` in one process, which fails as its store does, or
 * `fetchJwks` over HTTP, which rejects with `KeySetUnavailable`. `null` = unknown zone.
 */
export type KeySource = (zoneId: string) => Promise<readonly JWK[] | null>

export interface KeySet {
  /** A fresh cached key without waiting, else `undefined`. */
  peek(zoneId: string, kid: string): KeyObject | undefined
  /** The zone's key of that id, `null` when the zone has none. Rejects as the source does. */
  find(zoneId: string, kid: string): Promise<KeyObject | null>
  /** Forgets one zone (`caracal.keys.invalidate`), or all of them. */
  flush(zoneId?: string): void
}

export interface KeySetOptions {
  readonly source: KeySource
  /** Age after which keys are not used any more. Default 5 min. */
  readonly ttlMs?: number
  /** Least time between refetches of one zone for an unknown `kid`. Default 30 s. */
  readonly cooldownMs?: number
  /** Most zones kept, least recently used leave first. Default 10,000. */
  readonly maxZones?: number
  /** Monotonic milliseconds. */
  readonly clock?: () => number
}

interface ZoneKeys {
  readonly keys: ReadonlyMap<string, KeyObject>
  readonly fetchedAt: number
}

/** One cache of verification keys over one source. */
export function createKeySet(options: KeySetOptions): KeySet {
  const ttlMs = options.ttlMs ?? 300_000
  const cooldownMs = options.cooldownMs ?? 30_000
  const clock = options.clock ?? (() => performance.now())
  const zones = new LRUCache<string, ZoneKeys>({ max: options.maxZones ?? 10_000 })
  const missedAt = new LRUCache<string, number>({ max: options.maxZones ?? 10_000 })
  const fetching = new Map<string, Promise<ZoneKeys | null>>()
  /** Bumped by `flush`: a fetch that began before it must not repopulate the cache. */
  let generation = 0

  function fresh(zoneId: string): ZoneKeys | undefined {
    const zone = zones.get(zoneId)
    return zone && clock() - zone.fetchedAt < ttlMs ? zone : undefined
  }

  async function load(zoneId: string): Promise<ZoneKeys | null> {
    const startedIn = generation
    const jwks = await options.source(zoneId)
    const keys = new Map<string, KeyObject>()
    for (const jwk of jwks ?? []) {
      const usable = importVerificationJwk(jwk)
      if (usable && !keys.has(usable.kid)) keys.set(usable.kid, usable.key)
    }
    if (keys.size === 0) {
      zones.delete(zoneId)
      return null
    }
    const zone = { keys, fetchedAt: clock() }
    if (startedIn === generation) zones.set(zoneId, zone)
    return zone
  }

  function fetchZone(zoneId: string): Promise<ZoneKeys | null> {
    const running = fetching.get(zoneId)
    if (running) return running
    const started = load(zoneId).finally(() => {
      if (fetching.get(zoneId) === started) fetching.delete(zoneId)
    })
    fetching.set(zoneId, started)
    return started
  }

  return {
    peek: (zoneId, kid) => fresh(zoneId)?.keys.get(kid),

    async find(zoneId, kid) {
      const cached = fresh(zoneId)
      const known = cached?.keys.get(kid)
      if (known) return known
      // Of refetches for an unknown kid only: a set that was just read for another reason may miss a new key.
      if (cached && clock() - (missedAt.get(zoneId) ?? Number.NEGATIVE_INFINITY) < cooldownMs) return null
      if (cached) missedAt.set(zoneId, clock())
      return (await fetchZone(zoneId))?.keys.get(kid) ?? null
    },

    flush(zoneId) {
      generation += 1
      if (zoneId === undefined) {
        zones.clear()
        missedAt.clear()
        fetching.clear()
      } else {
        zones.delete(zoneId)
        missedAt.delete(zoneId)
        fetching.delete(zoneId)
      }
    },
  }
}

const maxDocumentBytes = 256 * 1024

/**
 * Reads `{baseUrl}/.well-known/jwks.json?zone_id=…`: no redirects, at most 256 KiB, `timeoutMs` over all.
 * `null` for 404. Rejects with 503 `service_unavailable` when the publisher says that it fails itself, as it does without
 * its store; with `KeySetUnavailable` for anything else that is not a key document.
 */
export async function fetchJwks(
  baseUrl: string,
  zoneId: string,
  timeoutMs: number,
): Promise<readonly JWK[] | null> {
  try {
    return await readJwks(baseUrl, zoneId, timeoutMs)
  } catch (error) {
    if (error instanceof CaracalError) throw error
    throw new KeySetUnavailable('verification keys cannot be fetched', { cause: error })
  }
}

async function readJwks(baseUrl: string, zoneId: string, timeoutMs: number): Promise<readonly JWK[] | null> {
  const url = `${baseUrl.replace(/\/$/, '')}/.well-known/jwks.json?zone_id=${encodeURIComponent(zoneId)}`
  const response = await fetch(url, {
    redirect: 'error',
    headers: { accept: 'application/json' },
    signal: AbortSignal.timeout(timeoutMs),
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    if (response.status === 404) return null
    if (response.status >= 500) throw errorOf('service_unavailable')
    throw new Error(`key document answered ${response.status}`)
  }
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    if (size > maxDocumentBytes) throw new Error('key document is too large')
    chunks.push(chunk)
  }
  const document: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  const keys = typeof document === 'object' && document !== null && 'keys' in document ? document.keys : null
  if (!Array.isArray(keys)) throw new Error('key document has no keys')
  return keys.filter((key): key is JWK => typeof key === 'object' && key !== null)
}
