/** IAM collections exist deployment-wide and under a zone; there the zone is the path's (control-api §12.2). */
import { errorOf } from '../../../platform/http/errors/registry.ts'
import type { Control } from '../control.ts'
import type { Call } from '../route.ts'
import type { IamZone } from '../store/service-accounts.ts'
import { findZoneByName } from '../store/zones.ts'
import type { ZoneNames } from './iam-shapes.ts'

export type Base = 'deployment' | 'zone'

/** The zone a base confines its rows to. */
export const zoneFor = (base: Base, call: Call<unknown, unknown>): IamZone =>
  base === 'zone' ? call.zoneId : undefined

/** The one zone a caller names; a workspace by its slug too. Throws 400 `code` when the names disagree. */
export async function namedZone(
  control: Control,
  base: Base,
  names: ZoneNames,
  code: 'invalid_query' | 'invalid_body',
): Promise<string | null | undefined> {
  const { zone_id, organization_id, namespace } = names
  let { workspace } = names
  // Which slug is whose is not told to callers of one zone.
  if (base === 'deployment' && workspace)
    workspace = (await findZoneByName(control.db, workspace)) ?? workspace
  const given = [zone_id, organization_id, namespace, workspace].filter((name) => name !== undefined)
  if (new Set(given).size > 1) throw errorOf(code, { message: 'the zone is named twice, differently' })
  return given[0]
}

/** The zone a list shows; deployment-wide lists may be narrowed by query. */
export async function listedZone(
  control: Control,
  base: Base,
  call: Call<ZoneNames, unknown>,
): Promise<IamZone> {
  const named = await namedZone(control, base, call.query, 'invalid_query')
  return zoneFor(base, call) ?? named ?? undefined
}
