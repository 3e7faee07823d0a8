/**
 * The doctor report (sdk-cli-console §13.4): only checks that were really made. Remembered for eight seconds for
 * each operator, and for nobody past a change.
 */
import { LRUCache } from 'lru-cache'
import type { HealthReport } from '../../../platform/role.ts'
import { type Control, reading } from '../control.ts'
import { visibleZones } from '../perform.ts'
import type { Principal } from '../principal.ts'
import { listZones } from '../store/zones.ts'
import { type CheckStatus, type DoctorCheck, shown } from './doctor-checks.ts'
import { systemChecks } from './doctor-system.ts'
import { MOST_ZONES, zoneChecks } from './doctor-zones.ts'

const REMEMBER_MS = 8000
const MOST_OPERATORS = 256

interface DoctorReport {
  readonly command: 'doctor'
  readonly mode: 'system'
  readonly ready: boolean
  readonly strict: false
  readonly context: {
    readonly apiUrl: string
    readonly zoneScope: 'global' | 'zone'
    readonly zoneIds: readonly string[]
  }
  readonly summary: Readonly<Record<CheckStatus | 'total', number>>
  readonly checks: readonly DoctorCheck[]
  readonly generatedAt: string
}

export interface Diagnostics {
  reportFor(principal: Principal): Promise<DoctorReport>
  /** Something changed: what was found before may be false. */
  forget(): void
}

export function createDiagnostics(control: Control, ready: () => Promise<HealthReport>): Diagnostics {
  const known = new LRUCache<string, Promise<DoctorReport>>({ max: MOST_OPERATORS, ttl: REMEMBER_MS })

  async function examine(principal: Principal): Promise<DoctorReport> {
    const visible = visibleZones(principal)
    const only = visible === null ? null : visible.split(',').filter((id) => id !== '')
    const system = systemChecks(control, ready)
    const zones = await reading(control, { scope: { zone: null } }, (db) =>
      listZones(db, { limit: MOST_ZONES, cursor: undefined }, only),
    )
    const ofZones = await Promise.all(zones.items.map((zone) => zoneChecks(control, zone)))
    const checks = [...(await Promise.all(system)), ...ofZones.flat()]
    const count = (status: CheckStatus) => checks.filter((one) => one.status === status).length
    return {
      command: 'doctor',
      mode: 'system',
      ready: count('fail') === 0,
      strict: false,
      context: {
        apiUrl: shown(control.settings.CARACAL_WEB_URL ?? ''),
        zoneScope: only === null ? 'global' : 'zone',
        zoneIds: zones.items.map(({ id }) => id),
      },
      summary: { ok: count('ok'), warn: count('warn'), fail: count('fail'), total: checks.length },
      checks,
      generatedAt: new Date().toISOString(),
    }
  }

  return {
    reportFor(principal) {
      const key = `${principal.kind}:${principal.id}`
      const remembered = known.get(key)
      if (remembered !== undefined) return remembered
      const report = examine(principal)
      known.set(key, report)
      // A report that failed is not remembered.
      report.catch(() => known.delete(key))
      return report
    },
    forget: () => known.clear(),
  }
}
