/** The context of a verified request: ids from the claims, trace and foreign baggage from the headers. */
import type { CaracalContext } from '../sdk/context.ts'
import { decodeEnvelope, extractBearer, type HeaderSource, maxHop } from '../sdk/envelope.ts'
import type { Claims } from '../verify/claims.ts'

export function contextOf(claims: Claims, headers: HeaderSource, authorization: string): CaracalContext {
  const { traceId, traceFlags, traceState, baggage } = decodeEnvelope(headers)
  return {
    subjectToken: extractBearer(authorization) ?? '',
    zoneId: claims.zoneId,
    applicationId: claims.clientId,
    sessionId: claims.sessionId,
    delegationId: claims.delegationId,
    subjectAuthorityRecordId: claims.authorityRecordId,
    traceId,
    traceFlags,
    traceState,
    baggage,
    hop: Math.min(claims.hopCount ?? 0, maxHop),
  }
}

/** Options of an adapter: a verifier or what makes one, and whether handlers run in the context. */
export interface BindOptions {
  /** Default true. */
  readonly bindContext?: boolean | undefined
}
