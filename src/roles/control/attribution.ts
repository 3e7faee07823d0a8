/**
 * Whose name a change carries (control-api §3.7). The attribution headers are believed
 * from the bootstrap token alone: from anyone else they would let a caller sign with
 * another's name.
 */
import type { Context } from 'hono'
import type { Queryable } from '../../platform/db/port.ts'
import { authorizedBy } from '../../platform/http/authorized-by.ts'
import { attributionOf, type Principal } from './principal.ts'
import type { Attribution } from './route.ts'
import { findZone } from './store/zones.ts'

export interface Claim {
  readonly authorizedBy: string | null
  readonly viaOperator: boolean
}

/** What the headers of a request claim; nothing unless `principal` may claim it. */
export function claimOf(c: Context, principal: Principal): Claim {
  if (!principal.bootstrap) return { authorizedBy: null, viaOperator: false }
  return {
    authorizedBy: authorizedBy(c),
    viaOperator: c.req.header('x-caracal-created-via') === 'operator',
  }
}

/** The columns to write; the operator badge shows only where the zone wants it. */
export async function attribute(
  db: Queryable,
  principal: Principal,
  claim: Claim | undefined,
  zoneId: string,
): Promise<Attribution> {
  const by = claim?.authorizedBy ?? attributionOf(principal)
  if (claim?.viaOperator !== true) return { by, viaOperator: false }
  const zone = zoneId === '' ? null : await findZone(db, zoneId)
  return { by, viaOperator: zone?.operator_coauthor_badge ?? true }
}
