/** Why a request was decided as it was, and an input that decides the same again in a simulation (control-api §7.18). */
import { visibleEvent } from './audit-fields.ts'
import { policyInputOf } from './policy-input.ts'
import { redactEvidence } from './redact-evidence.ts'
import type { AuditEventRow } from './store/audit-events.ts'

/** `events` are the request's, oldest first, and not empty. */
export function explainRequest(zoneId: string, requestId: string, events: readonly AuditEventRow[]) {
  const denied = events.filter(({ decision }) => decision?.toLowerCase() === 'deny')
  const final = denied.length > 0 ? 'deny' : (events.at(-1)?.decision ?? 'unknown')
  return {
    request_id: requestId,
    zone_id: zoneId,
    final_decision: final,
    denied: denied.map((event) => ({
      event_id: event.id,
      event_type: event.event_type,
      evaluation_status: event.evaluation_status,
      determining_policies: event.determining_policies_json,
      diagnostics: event.diagnostics_json,
      metadata: redactEvidence(event.metadata_json),
      policy_input: policyInputOf(zoneId, event.metadata_json ?? {}),
    })),
    events: events.map(visibleEvent),
  }
}
