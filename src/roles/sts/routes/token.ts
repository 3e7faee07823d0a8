/** `POST /oauth/2/token` (sts §1.3, §3): read the form, prove the caller, exchange, answer. */
import type { Context, Hono } from 'hono'
import { headerOf } from '../../../platform/http/incoming.ts'
import { requestContext } from '../../../platform/http/request-context.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import { assertAcceptedFields, exchangeRequest, repeatableFields } from '../exchange-form.ts'
import { accessTokenType } from '../exchange-state.ts'
import { type Form, readForm } from '../form.ts'
import { claimsGateway, verifyGatewaySignature } from '../gateway-signature.ts'
import type { IssuedMandate } from '../issue.ts'
import { exchange } from '../pipeline.ts'
import { accessDenied } from '../refusal.ts'
import { postOnly } from './post-only.ts'

export interface TokenRouteDeps {
  readonly exchange: ExchangeDeps
  readonly gatewayKey: HmacKey
}

export function mountTokenRoute(app: Hono, deps: TokenRouteDeps): void {
  const handle = postOnly(async (c) => {
    const { requestId } = requestContext(c)
    const form = await readForm(c, repeatableFields)
    assertAcceptedFields(form)
    const gateway = await provesGateway(c, form, requestId, deps)
    const request = exchangeRequest(form, { requestId, gateway })
    const { notes, trace } = requestContext(c)
    notes.zone_id = request.zoneId
    notes.application_id = request.applicationId
    const traced = deps.exchange.tracer === null ? request : { ...request, trace }
    return c.json(tokenResponse(await exchange(traced, deps.exchange, c.req.raw)))
  })
  app.all('/oauth/2/token', handle)
  // v1's TypeScript client joins a base URL that ends in a slash without trimming it.
  app.all('//oauth/2/token', handle)
}

/** H4: none of the three headers is an ordinary call; any of them must prove itself. */
async function provesGateway(
  c: Context,
  form: Form,
  requestId: string,
  deps: TokenRouteDeps,
): Promise<boolean> {
  const header = (name: string) => headerOf(c, name)
  if (!claimsGateway(header)) return false
  if (form.get('gateway_request_id') !== requestId) {
    throw accessDenied('invalid gateway exchange signature', 401, {
      detail: 'gateway_request_id is not the request id',
    })
  }
  await verifyGatewaySignature(
    { header, method: c.req.method, path: pathOf(c), body: form.raw, nowSeconds: Date.now() / 1000 },
    deps.gatewayKey,
    deps.exchange.ephemera,
  )
  return true
}

/** The escaped path as it was sent, without the query. */
export function pathOf(c: Context): string {
  const { url } = c.req
  const start = url.indexOf('/', url.indexOf('://') + 3)
  if (start < 0) return '/'
  const end = url.indexOf('?', start)
  return end < 0 ? url.slice(start) : url.slice(start, end)
}

/** sts §3.3. */
function tokenResponse(issued: IssuedMandate) {
  return {
    access_token: issued.accessToken(),
    token_type: 'Bearer',
    expires_in: issued.expiresIn,
    ...(issued.scope === '' ? {} : { scope: issued.scope }),
    issued_token_type: accessTokenType,
    ...(issued.targetResources.length === 0 ? {} : { target_resources: issued.targetResources }),
    ...(issued.upstreams === null ? {} : { upstreams: issued.upstreams }),
  }
}
