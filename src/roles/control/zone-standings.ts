/** Name, slug and owner of zones for the gate in front of every write; remembered for 30 seconds, at most 1024 (control-api §3.3). */
import { LRUCache } from 'lru-cache'
import type { Database } from '../../platform/db/port.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { isReservedZone } from './reserved.ts'
import { zoneStanding } from './store/zones.ts'

interface ZoneStanding {
  readonly name: string
  readonly slug: string
  /** Account that made it in a console; never changes. */
  readonly owner: string | null
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

/** Throws 403 `system_zone_read_only` when the zone is reserved for the platform. */
export async function refuseReservedZone(standings: ZoneStandings, zoneId: string | null): Promise<void> {
  if (zoneId === null) return
  const zone = await standings.of(zoneId)
  if (zone !== null && isReservedZone(zone)) throw errorOf('system_zone_read_only')
}
