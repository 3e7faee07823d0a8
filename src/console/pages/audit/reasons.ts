/** Why something was refused, as a sentence where we have one, else as the server's own word. */
import { type FullAuditEvent, textIn } from './event.ts'

const sentences: Readonly<Record<string, string>> = {
  no_active_policy_set: 'No policy set is active in the zone, so nothing is allowed.',
  restriction_active: 'A restriction in the active policies stops every mint.',
  no_rule_matched: 'No rule of the active policies covers this request.',
  malformed_risk_data: 'The risk rules of the active policies are malformed.',
  malformed_approval_data: 'The approval tiers of the active policies are malformed.',
  resource_not_granted: 'The active policies do not grant this resource to the application.',
  delegation_scope_exceeded: 'The request asks for more than the delegation holds.',
  confinement_violation: 'A confinement rule keeps sessions with this label from these scopes.',
  role_scope_mismatch: 'No label of the session has a role that grants these scopes.',
  mandate_target_mismatch: 'The mandate is for another resource.',
  exchange_denied: 'None of the requested resources was granted.',
  reference_invalid: 'A session or delegation that the request names does not back it.',
  resource_not_found: 'There is no such resource in the zone.',
  scope_mismatch: 'The resource does not have these scopes.',
  resource_outside_delegation: 'The resource is outside of the delegation.',
  operation_not_permitted: 'The mandate does not cover this operation of the resource.',
  rate_limited: 'Too many mandates were requested in too short a time.',
  client_auth_failed: 'The application did not prove its identity.',
  workload_auth_failed: 'The workload did not prove its identity.',
  invalid_subject_token: 'The token that was presented is not valid.',
  approval_rejected: 'An approver rejected the request.',
  approval_expired: 'The approval expired before it was used.',
  approval_already_consumed: 'The approval was used before.',
  approval_invalid: 'The approval does not belong to this request.',
  approval_policy_changed: 'The policies have changed since the approval.',
  approval_class_conflict: 'The request needs approvals of different kinds; ask for its scopes one by one.',
  policy_eval_failed: 'The active policies could not be evaluated.',
  provider_unavailable: 'The provider does not answer.',
  credential_not_provisioned: 'The subject has no account connected with the provider.',
  credential_refresh_failed: 'The provider refused to renew the credential.',
  provider_credential_unavailable: 'The provider has no credential to use.',
  anomaly: 'A mandate works once; this one was presented again.',
  revoked: 'The authority behind the mandate was revoked.',
}

const unremarkable = new Set(['complete', 'executed'])

/** The most telling of what the event says about its outcome; nothing for a plain success. */
export function whyOf(event: FullAuditEvent): string | null {
  for (const diagnostic of event.diagnostics_json ?? []) {
    const { reason, error } = (diagnostic ?? {}) as Record<string, unknown>
    if (typeof reason === 'string') return sentences[reason] ?? reason
    if (typeof error === 'string') return error
  }
  const status = event.evaluation_status ?? ''
  const reason = textIn(event.metadata_json, 'reason')
  const code = unremarkable.has(status) ? null : status
  const said = [code && (sentences[code] ?? `${code.replaceAll('_', ' ')}.`), reason && `Reason: ${reason}.`]
  return said.filter(Boolean).join(' ') || null
}
