/** The checks of one zone: what it protects, what decides there, whether that is in force, whether its evidence reads. */

import type { Control } from '../control.ts'
import { reading } from '../control.ts'
import { recentEvents, zoneOverview } from '../store/overview.ts'
import type { Zone } from '../store/zones.ts'
import { checked, type DoctorCheck, type Finding } from './doctor-checks.ts'

/** Most zones that one report looks into. */
export const MOST_ZONES = 20

const ok = (detail: string): Finding => ({ status: 'ok', detail })
const warn = (detail: string, advice: string): Finding => ({ status: 'warn', detail, advice })

async function inForce(control: Control, zoneId: string): Promise<Finding> {
  if (control.sts === null) return warn('no STS can be asked', 'Set STS_URL.')
  const status = await control.sts.policyStatus(zoneId)
  if (status.loaded) return ok('the STS decides with the active version')
  return {
    status: 'fail',
    detail: 'the STS could not load the active version',
    advice: 'Validate its policies.',
  }
}

async function policyFinding(
  control: Control,
  zoneId: string,
  sets: { readonly total: number; readonly enforcing: number; readonly active_name: string | null },
): Promise<Finding> {
  if (sets.enforcing > 0) return inForce(control, zoneId)
  return warn(
    sets.total === 0 ? 'there is no policy set' : 'no policy set is active',
    'Everything is denied until one is activated.',
  )
}

export async function zoneChecks(control: Control, zone: Pick<Zone, 'id' | 'name'>): Promise<DoctorCheck[]> {
  const scope = { scope: { zone: zone.id } }
  const named = (what: string) => `${zone.name}: ${what}`
  const overview = reading(control, scope, (db) => zoneOverview(db, zone.id))
  return Promise.all([
    checked('zones', named('resources'), async () => {
      const { total, unenforced } = (await overview).resources
      if (total === 0) return warn('there is no resource', 'Add what agents may call.')
      return ok(`${total} resources, ${unenforced} of them without enforced operations`)
    }),
    checked('zones', named('policy'), async () =>
      policyFinding(control, zone.id, (await overview).policy_sets),
    ),
    checked('zones', named('credentials'), async () => {
      const { total, expired, expiring_soon } = (await overview).applications
      const detail = `${total} applications, ${expired} expired, ${expiring_soon} expire within a week`
      return expired + expiring_soon === 0 ? ok(detail) : warn(detail, 'Renew or archive them.')
    }),
    checked('zones', named('audit'), async () => {
      const events = await reading(control, scope, (db) => recentEvents(db, zone.id))
      return ok(events.length === 0 ? 'readable, and empty' : 'readable')
    }),
  ])
}
