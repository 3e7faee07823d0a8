/** The zones reserved for the platform, for an operator to look at (sdk-cli-console §13.4): those that they may read by id. */
import { type Control, reading } from '../control.ts'
import { visibleZones } from '../perform.ts'
import type { Principal } from '../principal.ts'
import { listReservedZones, type Zone } from '../store/zones.ts'

export function systemZonesFor(control: Pick<Control, 'db'>, principal: Principal): Promise<Zone[]> {
  const zone = visibleZones(principal)
  const only = zone === null ? null : zone.split(',')
  return reading(control, { scope: { zone } }, (db) => listReservedZones(db, only))
}
