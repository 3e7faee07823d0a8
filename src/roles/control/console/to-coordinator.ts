/**
 * `/api/console/coord/zones/*`: the coordinator's routes with its operator token (sdk-cli-console §13.2). The
 * token reaches every zone, so whether this operator may is decided here, before anything is sent. What is
 * known of a zone is remembered for thirty seconds (zone-standings.ts); absence is not.
 */
import type { Context } from 'hono'
import { AUTHORIZED_BY, nameOf } from '../../../platform/http/authorized-by.ts'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { idPattern } from '../../../platform/ids.ts'
import type { Control } from '../control.ts'
import { notFound } from '../not-found.ts'
import { attributionOf, type Principal } from '../principal.ts'
import { bindingsGrant } from '../rbac/rules.ts'
import { isReservedZone } from '../reserved.ts'
import type { ZoneStandings } from '../zone-standings.ts'
import { answerOf, requestFor } from './forward.ts'
import { limitOperator } from './limits.ts'
import { isSafe } from './origins.ts'
import { API } from './paths.ts'
import type { Operator } from './sessions.ts'

const PREFIX = `${API}/coord`

/** An admin token by its zone, everyone else by role bindings: what a session view or a change of one needs. */
function reaches(principal: Principal, zoneId: string, changes: boolean): boolean {
  if (principal.bindings === null) return principal.zoneId === null || principal.zoneId === zoneId
  const permission = { apiGroup: 'runtime', resource: 'sessions', verb: changes ? 'terminate' : 'list' }
  return bindingsGrant(principal.bindings, permission, zoneId, null)
}

/** Throws 403 `admin_token_read_only`, `zone_forbidden` or `system_zone_read_only`; 404 `zone_not_found`. */
async function requireZone(
  standings: ZoneStandings,
  principal: Principal,
  zoneId: string,
  changes: boolean,
): Promise<void> {
  if (changes && principal.capability !== 'write') throw errorOf('admin_token_read_only')
  if (!reaches(principal, zoneId, changes)) throw errorOf('zone_forbidden')
  const zone = await standings.of(zoneId)
  if (zone === null || zone.archived) throw notFound('zone_not_found')
  if (changes && isReservedZone(zone)) throw errorOf('system_zone_read_only')
}

export async function askCoordinator(
  c: Context,
  control: Control,
  standings: ZoneStandings,
  { principal }: Operator,
): Promise<Response> {
  await limitOperator(c, control, principal.id)
  const { pathname, search } = new URL(c.req.url)
  const zoneId = /^\/zones\/([^/]+)(?:\/|$)/.exec(pathname.slice(PREFIX.length))?.[1]
  // Ids need no escapes: what has one names nothing.
  if (zoneId === undefined || !idPattern.test(zoneId)) throw errorOf('not_found')
  await requireZone(standings, principal, zoneId, !isSafe(c.req.method))
  const { coordinator } = control
  const { CARACAL_COORDINATOR_TOKEN: token, CARACAL_COORDINATOR_URL: url } = control.settings
  if (coordinator === null || token === null) {
    throw errorOf('service_unconfigured', { detail: 'CARACAL_COORDINATOR_TOKEN or _URL is not set' })
  }
  const target = new URL(pathname.slice(PREFIX.length) + search, url ?? 'http://coordinator')
  return answerOf(c, async (signal) => {
    const request = await requestFor(c, target, signal, {
      authorization: `Bearer ${token}`,
      [AUTHORIZED_BY]: nameOf(attributionOf(principal), principal.name),
    })
    try {
      return await coordinator(request)
    } catch (cause) {
      throw errorOf('upstream', { message: 'The coordinator cannot be reached', cause })
    }
  })
}
