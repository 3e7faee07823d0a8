/** What `Sts.exchangeForGateway` makes of a gateway's call: the same exchange, without the transport proof. */
import type { CaracalError } from '../../platform/errors.ts'
import { parseTraceparent } from '../../platform/observe/trace.ts'
import type { Tracer } from '../../platform/observe/tracer.ts'
import { canonicalResources } from './exchange-form.ts'
import { accessTokenType, type ExchangeRequest } from './exchange-state.ts'
import type { IssuedMandate } from './issue.ts'
import type { GatewayExchangeRequest, GatewayExchangeResult } from './port.ts'

export function gatewayExchangeRequest(call: GatewayExchangeRequest, tracer: Tracer | null): ExchangeRequest {
  return {
    requestId: call.requestId,
    zoneId: call.zoneId.trim(),
    applicationId: call.applicationId.trim(),
    clientSecret: null,
    resources: canonicalResources([call.resource]),
    scope: '',
    requestedScopes: [],
    subjectToken: call.mandate,
    subjectTokenType: accessTokenType,
    sessionId: null,
    agentSessionId: null,
    delegationEdgeId: null,
    ttlSeconds: 0,
    approvalId: null,
    gateway: { method: call.method, path: call.path },
    verifiedClaims: call.verifiedClaims ?? null,
    ...(tracer === null ? {} : { trace: parseTraceparent(call.traceparent) }),
  }
}

export function granted(issued: IssuedMandate): GatewayExchangeResult {
  return {
    ok: true,
    accessToken: issued.accessToken,
    expiresIn: issued.expiresIn,
    ...(issued.scope === '' ? {} : { scope: issued.scope }),
    targetResources: issued.targetResources,
    upstreams: issued.upstreams ?? {},
  }
}

export function refused(error: CaracalError): GatewayExchangeResult {
  const retryAfter = Number(error.headers['retry-after'])
  return {
    ok: false,
    status: error.status,
    error: error.code,
    description: error.message,
    ...(Object.keys(error.body).length === 0 ? {} : { details: error.body }),
    ...(Number.isFinite(retryAfter) && retryAfter > 0 ? { retryAfterSeconds: retryAfter } : {}),
  }
}
