/**
 * Verification keys of a zone with the gateway's cooldown (gateway §6): an unknown
 * `kid` asks the STS once per zone and 30 s, also right after the keys were fetched,
 * so a key that was just rotated in works at once; within the cooldown an unknown
 * `kid`, or an unknown zone, fails without asking. Zone ids arrive unverified, so
 * everything here is bounded.
 */
import type { KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { createKeySet } from '../../platform/jose/key-set.ts'
import type { Sts } from '../sts/port.ts'

export interface ZoneKeys {
  /** A cached key without waiting. */
  peek(zoneId: string, kid: string): KeyObject | undefined
  /** The key, or `null` when the zone has none of that id. Rejects when it cannot be known. */
  find(zoneId: string, kid: string): Promise<KeyObject | null>
  /** Forgets a zone's keys (`caracal.keys.invalidate`), or all of them. */
  flush(zoneId?: string): void
}

const cooldownMs = 30_000
const maxZones = 10_000
/** Invented zone ids may keep this many questions busy, not the store behind them. */
const maxAsking = 32

export function createZoneKeys(
  sts: Pick<Sts, 'zoneKeys'>,
  now: () => number = () => performance.now(),
): ZoneKeys {
  let fetches = 0
  let asking = 0
  const keys = createKeySet({
    source: async (zoneId) => {
      if (asking >= maxAsking) throw new Error('too many zones are being looked up')
      fetches += 1
      asking += 1
      try {
        return await sts.zoneKeys(zoneId)
      } finally {
        asking -= 1
      }
    },
    cooldownMs,
    maxZones,
    clock: now,
  })
  /** When a zone last answered that it has no such key. */
  const refused = new LRUCache<string, number>({ max: maxZones })
  const cooling = (zoneId: string): boolean => {
    const at = refused.get(zoneId)
    return at !== undefined && now() - at < cooldownMs
  }

  return {
    peek: keys.peek,
    async find(zoneId, kid) {
      if (cooling(zoneId)) return keys.peek(zoneId, kid) ?? null
      const before = fetches
      const key = await keys.find(zoneId, kid)
      if (key !== null) return key
      if (fetches !== before || cooling(zoneId)) {
        refused.set(zoneId, now())
        return null
      }
      // Answered from the cache: this is the one question of the cooldown.
      refused.set(zoneId, now())
      keys.flush(zoneId)
      return keys.find(zoneId, kid)
    },
    flush(zoneId) {
      keys.flush(zoneId)
      if (zoneId === undefined) refused.clear()
      else refused.delete(zoneId)
    },
  }
}
