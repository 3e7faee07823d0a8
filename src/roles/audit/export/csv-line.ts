/** CSV as spreadsheets read it safely (audit-and-events §7.3): CRLF, minimal quoting, no formulas. */
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

/** A cell a spreadsheet would run as a formula gets a leading apostrophe. */
function quoted(text: string): string {
  const guarded = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded
}

export const csvHeader = `${columns.map(([name]) => name).join(',')}\r\n`

export function csvLine(row: LedgerEvent): string {
  return `${columns.map(([, cell]) => quoted(cell(row))).join(',')}\r\n`
}
