/** What the ledger holds of one event, and how to say it. */
import type { Tone } from '../../ui/basics.tsx'

type Metadata = Readonly<Record<string, unknown>>

export interface AuditEvent {
  readonly id: string
  readonly event_type: string
  readonly request_id: string | null
  readonly decision: string | null
  readonly metadata_json: Metadata | null
  readonly occurred_at: string
}

export interface FullAuditEvent extends AuditEvent {
  readonly policy_set_id: string | null
  readonly policy_set_version_id: string | null
  readonly evaluation_status: string | null
  readonly determining_policies_json: readonly unknown[] | null
  readonly diagnostics_json: readonly unknown[] | null
}

export const eventTypes: Readonly<Record<string, string>> = {
  token_exchange: 'Mandate requested',
  gateway_resource_request: 'Call through the gateway',
  gateway_request_denied: 'Call refused by the gateway',
  replay_detected: 'Mandate used twice',
  step_up_issued: 'Held for approval',
  step_up_decided: 'Approval decided',
  step_up_consumed: 'Approval used',
  session_start: 'Session started',
  session_suspend: 'Session suspended',
  session_resume: 'Session resumed',
  session_terminate: 'Session ended',
  delegation_create: 'Delegation made',
  delegation_revoke: 'Delegation revoked',
  run_launch: 'Workload launched',
  credential_revealed: 'Secret revealed',
  audit_key_rotated: 'Audit key rotated',
  'control.invoke': 'Control command',
  jti_collision: 'Mandate id collision',
}

export function titleOf(event: AuditEvent): string {
  const { event_type: type, metadata_json: metadata } = event
  // At the gateway a mandate is exchanged once more: nothing is asked for, what it holds is checked.
  const asksForNothing = Array.isArray(metadata?.requested_scopes) && metadata.requested_scopes.length === 0
  if (type === 'token_exchange' && asksForNothing) return 'Mandate presented'
  return eventTypes[type] ?? type
}

export const applicationOf = ({ metadata_json: metadata }: AuditEvent): string | null =>
  textIn(metadata, 'application_id') ?? textIn(metadata, 'client_id')

const tones: Readonly<Record<string, Tone>> = {
  allow: 'ok',
  approved: 'ok',
  consumed: 'ok',
  deny: 'bad',
  rejected: 'bad',
  partial: 'warn',
  pending: 'warn',
}

export const toneOf = (decision: string | null): Tone => tones[decision ?? ''] ?? 'idle'

export function textIn(metadata: Metadata | null, name: string): string | null {
  const value = metadata?.[name]
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : null
}

export function textsIn(metadata: Metadata | null, name: string): readonly string[] {
  const value = metadata?.[name]
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

/** Of what the event tells, in a few words. */
export function subjectOf({ event_type, metadata_json: metadata }: AuditEvent): string {
  const said = (...names: string[]) => names.flatMap((name) => textIn(metadata, name) ?? []).join(' ')
  const scopes = textsIn(metadata, 'requested_scopes').join(', ')
  switch (event_type) {
    case 'token_exchange':
      return [scopes, said('resource') || textsIn(metadata, 'requested').join(', ')]
        .filter(Boolean)
        .join(' on ')
    case 'gateway_resource_request': {
      const status = said('gateway_status')
      return [said('method', 'resource'), status].filter(Boolean).join(' → ')
    }
    case 'step_up_issued':
    case 'step_up_decided':
    case 'step_up_consumed':
      return said('tier') && `tier ${said('tier')}`
    case 'credential_revealed':
      return said('credential', 'application_name', 'workload_name').replaceAll('_', ' ')
    case 'control.invoke':
      return said('command', 'subcommand')
    case 'run_launch':
      return said('workload_name')
    case 'session_start':
    case 'session_suspend':
    case 'session_resume':
    case 'session_terminate':
      return textsIn(metadata, 'agent_labels').join(', ')
    default:
      return said('method', 'resource')
  }
}

/** The page of a request. Its caller chose the id: in a path it could look like a file, or like another path. */
export const traceOf = (zoneId: string, requestId: string): string =>
  `/zones/${zoneId}/audit?request=${encodeURIComponent(requestId)}`
