/** The CSV form of ledger events (audit-and-events §7.3). */
import { csvLine } from '../../../platform/csv.ts'
import type { LedgerEvent } from '../store/read-events.ts'

const columns: readonly (readonly [name: string, cell: (row: LedgerEvent) => string])[] = [
  ['chain_seq', (row) => String(row.chainSeq)],
  ['id', (row) => row.id],
  ['occurred_at', (row) => row.occurredAt],
  ['ingested_at', (row) => row.ingestedAt],
  ['event_type', (row) => row.eventType],
  ['decision', (row) => row.decision],
  ['evaluation_status', (row) => row.evaluationStatus],
  ['request_id', (row) => row.requestId],
  ['policy_set_id', (row) => row.policySetId],
  ['policy_set_version_id', (row) => row.policySetVersionId],
  ['manifest_sha', (row) => row.manifestSha],
  ['determining_policies_json', (row) => row.determiningPolicies ?? ''],
  ['diagnostics_json', (row) => row.diagnostics ?? ''],
  ['metadata_json', (row) => row.metadata ?? ''],
  ['content_sha256', (row) => row.contentSha256],
  ['prev_content_sha256', (row) => row.prevContentSha256 ?? ''],
  ['chain_hmac', (row) => row.chainHmac],
]

export const eventHeader = csvLine(columns.map(([name]) => name))

export const eventLine = (row: LedgerEvent): string => csvLine(columns.map(([, cell]) => cell(row)))
