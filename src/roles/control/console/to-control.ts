/** `/api/console/v1/*`: the management API's own routes, in this process, as the operator (sdk-cli-console §13.2). */
import type { Context, Hono } from 'hono'
import { isMutation, pathZone } from '../authorize.ts'
import { refuseReservedZone, type ZoneStandings } from '../zone-standings.ts'
import { answerOf, envFor, requestFor } from './forward.ts'
import { handOver } from './hand-over.ts'
import { API } from './paths.ts'
import type { Operator } from './sessions.ts'

/**
 * The gates of `/v1` see the operator's principal, the browser's address and the same request id. The console shows a
 * system zone to be looked at, and to the bootstrap token too: throws 403 `system_zone_read_only` for a change of one.
 */
export async function askControl(
  c: Context,
  control: Pick<Hono, 'fetch'>,
  standings: ZoneStandings,
  operator: Operator,
): Promise<Response> {
  const { pathname, search } = new URL(c.req.url)
  const path = pathname.slice(API.length)
  if (isMutation({ method: c.req.method, path })) await refuseReservedZone(standings, pathZone(path))
  return answerOf(c, async (signal) => {
    const request = await requestFor(c, new URL(path + search, 'http://control'), signal)
    handOver(request, operator.principal)
    return control.fetch(request, envFor(c, request))
  })
}
