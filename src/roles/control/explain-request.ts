/** Why a request was decided as it was, and an input that decides the same again in a simulation (control-api §7.18). */
import { POLICY_SCHEMA_VERSION } from '../../policy/index.ts'
import { visibleEvent } from './audit-fields.ts'
import { redactEvidence } from './redact-evidence.ts'
import type { AuditEventRow } from './store/audit-events.ts'

type Metadata = Readonly<Record<string, unknown>>

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

const texts = (value: unknown): string[] => {
  if (Array.isArray(value)) return value.filter((entry): entry is string => typeof entry === 'string')
  if (typeof value === 'string') return value.split(' ').filter((entry) => entry !== '')
  return []
}

/** Members with an undefined value are left out: presence means something to a policy. */
function present(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

/** The policy input of a mint, rebuilt from the stored evidence before redaction. */
function policyInputOf(zoneId: string, metadata: Metadata): Record<string, unknown> {
  const sessionId = text(metadata.session_id)
  const agentSessionId = text(metadata.agent_session_id)
  const edgeId = text(metadata.delegation_edge_id)
  const labels = metadata.agent_labels === undefined ? undefined : texts(metadata.agent_labels)
  const scopes = texts(metadata.requested_scopes)
  return present({
    schema_version: POLICY_SCHEMA_VERSION,
    principal: present({
      type: 'Application',
      id: text(metadata.application_id) ?? '',
      zone_id: zoneId,
      registration_method: text(metadata.application_registration_method),
      agent_session_id: agentSessionId,
      lifecycle: text(metadata.agent_lifecycle),
      labels,
    }),
    resource: { type: 'Resource', identifier: text(metadata.resource) ?? '', scopes },
    action: { id: 'TokenExchange' },
    context: present({
      actor_claims: {},
      requested_scopes: scopes,
      challenge_resolved: false,
      session_id: sessionId,
      agent_session_id: agentSessionId,
      delegation_edge_id: edgeId,
    }),
    session: sessionId === undefined ? undefined : { id: sessionId },
    delegation_edge: edgeId === undefined ? undefined : { id: edgeId },
  })
}

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
