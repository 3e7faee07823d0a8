/** Flat projections of audit rows for `fields=` and CSV (control-api §7.18). */
import { CaracalError } from '../../platform/errors.ts'
import { redactEvidence } from './redact-evidence.ts'
import type { AdminAuditRow } from './store/admin-audit.ts'
import type { AuditEventRow } from './store/audit-events.ts'

const rowFields = [
  'id',
  'occurred_at',
  'event_type',
  'decision',
  'evaluation_status',
  'request_id',
  'ingested_at',
  'policy_set_id',
  'policy_set_version_id',
  'manifest_sha',
  'determining_policies',
] as const

const metadataFields = [
  'application_id',
  'application_name',
  'resource',
  'requested_scopes',
  'agent_session_id',
  'agent_lifecycle',
  'agent_labels',
  'delegation_edge_id',
  'delegation_hop_count',
  'method',
  'latency_ms',
  'upstream_status',
  'result_class',
  'reason',
  'trace_id',
  'provider_id',
  'connection_id',
  'upstream_host',
  'gateway_status',
  'error_kind',
  'response_bytes',
  'auth_mode',
  'subject_fingerprint',
  'subject',
  'authorized_by',
  'command',
  'subcommand',
  'challenge_id',
  'tier',
  'approver_class',
  'privacy_mode',
  'approver_subject_id',
  'subject_anchor',
  'subject_kind',
  'federated_user_issuer',
] as const

export const auditFields: readonly string[] = [...rowFields, ...metadataFields]

/** The fields asked for, all of them without a wish. Throws 400 `invalid_fields`. */
export function chooseFields(
  known: readonly string[],
  wanted: readonly string[] | undefined,
): readonly string[] {
  if (wanted === undefined) return known
  const unknown = wanted.find((field) => !known.includes(field))
  if (unknown === undefined) return [...new Set(wanted)]
  throw new CaracalError('invalid_fields', { status: 400, message: 'a requested field is not known' })
}

function policyNames(value: unknown): string[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((entry) => {
    const name = typeof entry === 'object' && entry !== null ? (entry as { policy?: unknown }).policy : entry
    return typeof name === 'string' ? [name] : []
  })
}

/** The row as it is answered: metadata redacted. */
export function visibleEvent(row: AuditEventRow): AuditEventRow {
  return { ...row, metadata_json: redactEvidence(row.metadata_json) as AuditEventRow['metadata_json'] }
}

export function flatEvent(row: AuditEventRow, fields: readonly string[]): Record<string, unknown> {
  const metadata = redactEvidence(row.metadata_json ?? {}) as Record<string, unknown>
  const columns = row as unknown as Record<string, unknown>
  return Object.fromEntries(
    fields.map((field) => {
      if (field === 'determining_policies') return [field, policyNames(row.determining_policies_json)]
      if ((rowFields as readonly string[]).includes(field)) return [field, columns[field] ?? null]
      return [field, metadata[field] ?? null]
    }),
  )
}

const actionFields = [
  'id',
  'occurred_at',
  'action',
  'method',
  'path',
  'entity_type',
  'entity_id',
  'status_code',
  'actor_id',
  'actor_name',
  'actor_scope',
  'request_id',
  'chain_seq',
  'signed',
] as const

/** Selectable fields of the administrative ledger (audit-and-events §8.3). */
export const adminAuditFields: readonly string[] = [...actionFields, 'change_kind', 'changed_fields']

export function flatAdminAction(row: AdminAuditRow, fields: readonly string[]): Record<string, unknown> {
  const columns = row as unknown as Record<string, unknown>
  return Object.fromEntries(
    fields.map((field) => [
      field,
      (actionFields as readonly string[]).includes(field)
        ? (columns[field] ?? null)
        : (row.payload_json?.[field] ?? null),
    ]),
  )
}
