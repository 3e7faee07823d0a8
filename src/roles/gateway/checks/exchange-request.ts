import type { GatewayExchangeRequest } from '../../sts/port.ts'
import { type Call, mandateOf } from '../call.ts'

/** What the STS is asked, all of it verified by step 11. */
export function exchangeRequest(
  call: Call,
  traceparent: string | string[] | undefined,
): GatewayExchangeRequest {
  return {
    requestId: call.requestId,
    zoneId: call.zoneId,
    applicationId: call.applicationId,
    mandate: call.bearer,
    verifiedClaims: mandateOf(call).claims,
    resource: call.resource,
    method: call.request.method ?? 'GET',
    path: call.path,
    ...(typeof traceparent === 'string' ? { traceparent } : {}),
  }
}
