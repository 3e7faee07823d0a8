/** Audit evidence of the gateway (gateway §17, audit-and-events §3.4). Never the path, the query, a token or a body. */
import { uuidv7 } from '../../platform/ids.ts'
import type { AuditEvent } from '../audit/index.ts'
import { type Call, mandateOf } from './call.ts'
import type { Denial } from './denial.ts'
import { fingerprintOf, textClaim } from './mandate.ts'
import { resultClass } from './record.ts'

const event = (
  call: Call,
  type: string,
  decision: 'allow' | 'deny',
  evaluationStatus: string,
  metadata: Readonly<Record<string, unknown>>,
): AuditEvent => ({
  id: uuidv7(),
  zone_id: call.zoneId,
  event_type: type,
  request_id: call.requestId,
  decision,
  evaluation_status: evaluationStatus,
  determining_policies_json: [],
  diagnostics_json: [],
  metadata_json: metadata,
  occurred_at: new Date().toISOString(),
})

/** The session whose call it is and the delegation it rests on, so that the evidence of a session has its calls. */
function actor(call: Call): Readonly<Record<string, unknown>> {
  const { claims } = mandateOf(call)
  const sessionId = textClaim(claims, 'agent_session_id')
  const edgeId = textClaim(claims, 'delegation_edge_id')
  return {
    ...(sessionId === '' ? {} : { agent_session_id: sessionId }),
    ...(edgeId === '' ? {} : { delegation_edge_id: edgeId }),
  }
}

/** Step 12 found the marker of an earlier use. */
export const replayDetected = (call: Call, jti: string): AuditEvent =>
  event(call, 'replay_detected', 'deny', 'anomaly', {
    jti,
    resource: call.resource,
    client_id: call.applicationId,
    subject_fp: fingerprintOf(mandateOf(call).digest),
    request_id: call.requestId,
    ...actor(call),
  })

/** A verified mandate was refused because of a revocation or by the exchange. */
export const requestDenied = (call: Call, denial: Denial, status: 'revoked' | 'sts_denied'): AuditEvent =>
  event(call, 'gateway_request_denied', 'deny', status, {
    application_id: call.applicationId,
    resource: call.resource,
    subject_fingerprint: fingerprintOf(mandateOf(call).digest),
    method: call.request.method ?? '',
    gateway_status: denial.status,
    reason: denial.description === '' ? denial.code : denial.description,
    ...actor(call),
  })

export type EvaluationStatus = 'executed' | 'upstream_error' | 'upstream_rejected' | 'build_failed'

export type ErrorKind =
  | 'upstream_not_addressable'
  | 'provider_host_not_allowed'
  | 'request_build_failed'
  | 'transport_error'
  | 'response_copy_failed'

export interface ResourceOutcome {
  readonly status: EvaluationStatus
  /** What the caller was answered. */
  readonly gatewayStatus: number
  /** Until the upstream's response headers; 0 when it was not dialled. */
  readonly latencyMs: number
  readonly responseBytes: number
  readonly upstreamStatus: number | null
  readonly revocationInterrupted: boolean
  readonly errorKind: ErrorKind | null
}

/** Exactly one per exchanged request, after its outcome is known. */
export function resourceRequested(call: Call, outcome: ResourceOutcome): AuditEvent {
  const mandate = mandateOf(call)
  const subjectKind = textClaim(mandate.claims, 'sub_type')
  const { directive, target } = call
  return event(call, 'gateway_resource_request', 'allow', outcome.status, {
    application_id: call.applicationId,
    resource: call.resource,
    subject_fingerprint: fingerprintOf(mandate.digest),
    method: call.request.method ?? '',
    gateway_status: outcome.gatewayStatus,
    latency_ms: Math.max(0, Math.round(outcome.latencyMs)),
    response_bytes: outcome.responseBytes,
    ...actor(call),
    ...(call.traceId === '' ? {} : { trace_id: call.traceId }),
    ...(subjectKind === 'user' || subjectKind === 'application' ? { subject_kind: subjectKind } : {}),
    ...(target === null ? {} : { upstream_host: target.hostname }),
    ...(directive === null ? {} : { auth_mode: directive.auth_mode }),
    ...(directive?.provider_id === undefined ? {} : { provider_id: directive.provider_id }),
    ...(directive?.connection_id === undefined ? {} : { connection_id: directive.connection_id }),
    ...(outcome.upstreamStatus === null
      ? {}
      : { upstream_status: outcome.upstreamStatus, result_class: resultClass(outcome.upstreamStatus) }),
    ...(outcome.revocationInterrupted ? { revocation_interrupted: true } : {}),
    ...(outcome.errorKind === null ? {} : { error_kind: outcome.errorKind }),
  })
}
