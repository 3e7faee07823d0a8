/** IAM collections exist deployment-wide and under a zone; there the zone is the path's (control-api §12.2). */
import type { Call } from '../route.ts'
import type { IamZone } from '../store/service-accounts.ts'

export type Base = 'deployment' | 'zone'

/** The zone a base confines its rows to; deployment-wide lists may narrow by query. */
export const zoneFor = (base: Base, call: Call<unknown, unknown>, wanted?: string | undefined): IamZone =>
  base === 'zone' ? call.zoneId : wanted
