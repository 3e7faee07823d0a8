/** Changing a zone, turning dynamic client registration off included (control-api §7.4). */

import type { Tx } from '../../platform/db/port.ts'
import { violatedConstraint } from '../../platform/db/unavailable.ts'
import { lockAuthority } from '../../platform/db/zone-locks.ts'
import { CaracalError } from '../../platform/errors.ts'
import { type Control, writing } from './control.ts'
import { conflict, found, invalid, noFields } from './not-found.ts'
import { refuseReserved } from './reserved.ts'
import type { Call } from './route.ts'
import { isEmptyPatch } from './routes/inputs.ts'
import { recordDcrShutdown, shutDownDcr } from './shut-down-dcr.ts'
import { countLiveDcrApplications, lockZone, updateZone, type Zone, type ZonePatch } from './store/zones.ts'

export interface ZoneChange extends ZonePatch {
  readonly dcr_shutdown?: 'keep_live' | 'revoke_live' | undefined
}

async function settleLiveDcr(
  control: Control,
  call: Call<unknown, unknown>,
  tx: Tx,
  change: ZoneChange,
): Promise<void> {
  if (change.dcr_shutdown === 'revoke_live') return shutDownDcr(control, call, tx)
  const live = await countLiveDcrApplications(tx, call.id)
  if (live > 0 && change.dcr_shutdown !== 'keep_live') {
    throw new CaracalError('dcr_shutdown_required', {
      status: 409,
      message: 'live dynamically registered applications exist; say dcr_shutdown keep_live or revoke_live',
      body: { details: { live_dcr_applications: live } },
    })
  }
  const how = live === 0 ? 'no_live' : 'keep_live'
  await recordDcrShutdown(control, call, tx, how, { live_dcr_applications: live })
}

/** Throws 400 `no_fields`, `dcr_shutdown_not_applicable`; 404; 409 for names and live applications. */
export async function changeZone(
  control: Control,
  call: Call<unknown, unknown>,
  change: ZoneChange,
): Promise<Zone> {
  if (isEmptyPatch({ ...change })) throw noFields()
  if (change.dcr_shutdown !== undefined && change.dcr_enabled !== false) {
    throw invalid('dcr_shutdown_not_applicable', 'dcr_shutdown goes with dcr_enabled false')
  }
  refuseReserved(call.principal, 'zone_name', change.name)
  refuseReserved(call.principal, 'zone_slug', change.slug)
  try {
    return await writing(control, call, async (tx) => {
      // Advisory locks come before rows in the lock order.
      if (change.dcr_shutdown === 'revoke_live') await lockAuthority(tx, call.id)
      found(await lockZone(tx, call.id), 'zone_not_found')
      if (change.dcr_enabled === false) await settleLiveDcr(control, call, tx, change)
      return updateZone(tx, call.id, change, call.attribution)
    })
  } catch (error) {
    if (violatedConstraint(error) === 'zones_slug_key')
      throw conflict('zone_slug_conflict', 'this slug is in use')
    throw error
  }
}
