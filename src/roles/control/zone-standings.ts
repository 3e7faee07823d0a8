/** Name and slug of zones for the gate in front of every write; remembered for 30 seconds, at most 1024 (control-api §3.3). */
import { LRUCache } from 'lru-cache'
import type { Database } from '../../platform/db/port.ts'
import { zoneStanding } from './store/zones.ts'

interface ZoneStanding {
  readonly name: string
  readonly slug: string
  readonly archived: boolean
}

export interface ZoneStandings {
  /** `null` for a zone that does not exist; absence is not remembered. */
  of(zoneId: string): Promise<ZoneStanding | null>
}

export function createZoneStandings(db: Database): ZoneStandings {
  const known = new LRUCache<string, ZoneStanding>({ max: 1024, ttl: 30_000 })
  return {
    async of(zoneId) {
      const remembered = known.get(zoneId)
      if (remembered !== undefined) return remembered
      const standing = await zoneStanding(db, zoneId)
      if (standing !== null) known.set(zoneId, standing)
      return standing
    },
  }
}
