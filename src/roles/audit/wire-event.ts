/**
 * A stored event as it goes out again: the document of audit-and-events §1 and the search element of §7.2. What was
 * stored as JSON goes out as it was spelled, every digit of its numbers: the content hash covers that text.
 */
import type { LedgerEvent } from './store/read-events.ts'

/** Members of an object with their values as JSON text. */
type Members = Readonly<Record<string, string>>

function textOf(members: Members): string {
  return `{${Object.entries(members)
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`)
    .join(',')}}`
}

/** The event as its producer sent it; optional members that were empty stay away. */
function eventMembers(row: LedgerEvent): Members {
  const optional = (name: string, value: string): Members =>
    value === '' ? {} : { [name]: JSON.stringify(value) }
  return {
    id: JSON.stringify(row.id),
    zone_id: JSON.stringify(row.zoneId),
    event_type: JSON.stringify(row.eventType),
    request_id: JSON.stringify(row.requestId),
    decision: JSON.stringify(row.decision),
    ...optional('policy_set_id', row.policySetId),
    ...optional('policy_set_version_id', row.policySetVersionId),
    ...optional('manifest_sha', row.manifestSha),
    evaluation_status: JSON.stringify(row.evaluationStatus),
    determining_policies_json: row.determiningPolicies ?? '[]',
    diagnostics_json: row.diagnostics ?? '[]',
    ...(row.metadata === null ? {} : { metadata_json: row.metadata }),
    occurred_at: JSON.stringify(row.occurredAt),
  }
}

/** One element of an operator search, as JSON text. */
export function searchElement(row: LedgerEvent): string {
  return textOf({
    Event: textOf(eventMembers(row)),
    IngestedAt: JSON.stringify(row.ingestedAt),
    ContentSHA256: JSON.stringify(row.contentSha256),
    PrevContentSHA256: JSON.stringify(row.prevContentSha256 ?? ''),
    ChainHMAC: JSON.stringify(row.chainHmac),
    ChainSeq: JSON.stringify(row.chainSeq),
  })
}

/** The event with its place in the chain, as JSON text. */
export function exportedEvent(row: LedgerEvent): string {
  return textOf({
    ...eventMembers(row),
    ingested_at: JSON.stringify(row.ingestedAt),
    chain_seq: JSON.stringify(row.chainSeq),
    content_sha256: JSON.stringify(row.contentSha256),
    prev_content_sha256: JSON.stringify(row.prevContentSha256),
    chain_hmac: JSON.stringify(row.chainHmac),
  })
}
