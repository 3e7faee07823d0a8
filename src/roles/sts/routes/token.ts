/** `POST /oauth/2/token` (sts §1.3, §3): read the form, prove the caller, exchange, answer. */
import type { Hono } from 'hono'
import type { DirectEndpoint, PlainRequest } from '../../../platform/http/direct.ts'
import { pathOf } from '../../../platform/http/incoming.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import { assertAcceptedFields, exchangeRequest, repeatableFields } from '../exchange-form.ts'
import { accessTokenType } from '../exchange-state.ts'
import { type Form, maxBodyBytes, plainRequest, readPlainForm } from '../form.ts'
import { claimsGateway, verifyGatewaySignature } from '../gateway-signature.ts'
import type { IssuedMandate } from '../issue.ts'
import { exchange } from '../pipeline.ts'
import { accessDenied } from '../refusal.ts'
import { postOnly } from './post-only.ts'

export interface TokenRouteDeps {
  readonly exchange: ExchangeDeps
  readonly gatewayKey: HmacKey
}

const path = '/oauth/2/token'

export function mountTokenRoute(app: Hono, deps: TokenRouteDeps): void {
  app.all(
    path,
    postOnly(async (c) => c.json(await answerToken(plainRequest(c), deps))),
  )
}

/** The same route past the app: of all requests to this role, nearly every one is a mint. */
export function tokenEndpoint(deps: TokenRouteDeps): DirectEndpoint {
  return { paths: new Set([path]), maxBodyBytes, answer: (request) => answerToken(request, deps) }
}

async function answerToken(request: PlainRequest, deps: TokenRouteDeps) {
  const { requestId, notes, trace } = request.context
  const form = await readPlainForm(request, repeatableFields)
  assertAcceptedFields(form)
  const gateway = await provesGateway(request, form, deps)
  const asked = exchangeRequest(form, { requestId, gateway })
  notes.zone_id = asked.zoneId
  notes.application_id = asked.applicationId
  const traced = deps.exchange.tracer === null ? asked : { ...asked, trace }
  return tokenResponse(await exchange(traced, deps.exchange, request))
}

/** H4: none of the three headers is an ordinary call; any of them must prove itself. */
async function provesGateway(request: PlainRequest, form: Form, deps: TokenRouteDeps): Promise<boolean> {
  const { header, method, context } = request
  if (!claimsGateway(header)) return false
  if (form.get('gateway_request_id') !== context.requestId) {
    throw accessDenied('invalid gateway exchange signature', 401, {
      detail: 'gateway_request_id is not the request id',
    })
  }
  await verifyGatewaySignature(
    { header, method, path: pathOf(request.target), body: form.raw, nowSeconds: Date.now() / 1000 },
    deps.gatewayKey,
    deps.exchange.ephemera,
  )
  return true
}

/** sts §3.3. */
function tokenResponse(issued: IssuedMandate) {
  return {
    access_token: issued.accessToken(),
    token_type: 'Bearer',
    expires_in: issued.expiresIn,
    scope: issued.scope === '' ? undefined : issued.scope,
    issued_token_type: accessTokenType,
    target_resources: issued.targetResources.length === 0 ? undefined : issued.targetResources,
    upstreams: issued.upstreams ?? undefined,
  }
}
