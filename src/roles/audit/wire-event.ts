/** A stored event as it goes out again: the document of audit-and-events §1 and the search element of §7.2. */
import type { LedgerEvent } from './store/read-events.ts'

/** The event as its producer sent it; optional members that were empty stay away. */
export function wireEvent(row: LedgerEvent): Record<string, unknown> {
  const optional = (name: string, value: string) => (value === '' ? {} : { [name]: value })
  return {
    id: row.id,
    zone_id: row.zoneId,
    event_type: row.eventType,
    request_id: row.requestId,
    decision: row.decision,
    ...optional('policy_set_id', row.policySetId),
    ...optional('policy_set_version_id', row.policySetVersionId),
    ...optional('manifest_sha', row.manifestSha),
    evaluation_status: row.evaluationStatus,
    determining_policies_json: row.determiningPolicies ?? [],
    diagnostics_json: row.diagnostics ?? [],
    ...(row.metadata === null ? {} : { metadata_json: row.metadata }),
    occurred_at: row.occurredAt,
  }
}

/** One element of an operator search. */
export function searchElement(row: LedgerEvent): Record<string, unknown> {
  return {
    Event: wireEvent(row),
    IngestedAt: row.ingestedAt,
    ContentSHA256: row.contentSha256,
    PrevContentSHA256: row.prevContentSha256 ?? '',
    ChainHMAC: row.chainHmac,
    ChainSeq: row.chainSeq,
  }
}
