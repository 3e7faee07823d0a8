/** `/api/console/v1/*`: the management API's own routes, in this process, as the operator (sdk-cli-console §13.2). */
import type { Context, Hono } from 'hono'
import { answerOf, envFor, requestFor } from './forward.ts'
import { handOver } from './hand-over.ts'
import { API } from './paths.ts'
import type { Operator } from './sessions.ts'

/** The gates of `/v1` see the operator's principal, the browser's address and the same request id. */
export function askControl(c: Context, control: Pick<Hono, 'fetch'>, operator: Operator): Promise<Response> {
  return answerOf(c, async (signal) => {
    const { pathname, search } = new URL(c.req.url)
    const target = new URL(pathname.slice(API.length) + search, 'http://control')
    const request = await requestFor(c, target, signal)
    handOver(request, operator.principal)
    return control.fetch(request, envFor(c, request))
  })
}
