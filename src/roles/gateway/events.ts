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
  return {
    agent_session_id: known(textClaim(claims, 'agent_session_id')),
    delegation_edge_id: known(textClaim(claims, 'delegation_edge_id')),
  }
}

/** A member that is `undefined` is not told. */
const known = (text: string): string | undefined => (text === '' ? undefined : text)

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

/** Exactly one per exchanged request, after its outcome is known. One literal: spreading each of its parts took ten times as long. */
export function resourceRequested(call: Call, outcome: ResourceOutcome): AuditEvent {
  const mandate = mandateOf(call)
  const subjectKind = textClaim(mandate.claims, 'sub_type')
  const { directive, target } = call
  const { upstreamStatus } = outcome
  return event(call, 'gateway_resource_request', 'allow', outcome.status, {
    application_id: call.applicationId,
    resource: call.resource,
    subject_fingerprint: fingerprintOf(mandate.digest),
    method: call.request.method ?? '',
    gateway_status: outcome.gatewayStatus,
    latency_ms: Math.max(0, Math.round(outcome.latencyMs)),
    response_bytes: outcome.responseBytes,
    agent_session_id: known(textClaim(mandate.claims, 'agent_session_id')),
    delegation_edge_id: known(textClaim(mandate.claims, 'delegation_edge_id')),
    trace_id: known(call.traceId),
    subject_kind: subjectKind === 'user' || subjectKind === 'application' ? subjectKind : undefined,
    upstream_host: target?.hostname,
    auth_mode: directive?.auth_mode,
    provider_id: directive?.provider_id,
    connection_id: directive?.connection_id,
    upstream_status: upstreamStatus ?? undefined,
    result_class: upstreamStatus === null ? undefined : resultClass(upstreamStatus),
    revocation_interrupted: outcome.revocationInterrupted || undefined,
    error_kind: outcome.errorKind ?? undefined,
  })
}
