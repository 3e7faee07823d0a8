/**
 * Reads a zone's events in chain order, one bounded page after the other. Search, export and
 * tail share it: the key of a page is the sequence number, which is also commit order, so a
 * reader that goes on after the last number it saw misses nothing.
 */
import type { Queryable } from '../../../platform/db/port.ts'

export interface EventQuery {
  readonly zoneId: string
  /** Exclusive; 0 starts at the beginning. */
  readonly afterSeq: number
  readonly limit: number
  /** RFC 3339, inclusive. */
  readonly since?: string | undefined
  /** RFC 3339, exclusive. */
  readonly until?: string | undefined
  readonly decision?: string | undefined
  readonly requestId?: string | undefined
}

/** A stored event with its place in the chain; instants as text with microseconds. */
export interface LedgerEvent {
  readonly id: string
  readonly zoneId: string
  readonly eventType: string
  readonly requestId: string
  readonly decision: string
  readonly policySetId: string
  readonly policySetVersionId: string
  readonly manifestSha: string
  readonly evaluationStatus: string
  /** `jsonb::text`, null for SQL NULL. */
  readonly determiningPolicies: string | null
  readonly diagnostics: string | null
  readonly metadata: string | null
  readonly occurredAt: string
  readonly ingestedAt: string
  readonly contentSha256: string
  readonly prevContentSha256: string | null
  readonly chainHmac: string
  readonly chainSeq: number
}

/** Column list of a `LedgerEvent`; `chainSeq` is exact up to 2^53. */
const ledgerColumns = ({ sql }: Queryable) => sql`
  id, zone_id as "zoneId", event_type as "eventType", coalesce(request_id, '') as "requestId",
  coalesce(decision, '') as decision, coalesce(policy_set_id, '') as "policySetId",
  coalesce(policy_set_version_id, '') as "policySetVersionId", coalesce(manifest_sha, '') as "manifestSha",
  coalesce(evaluation_status, '') as "evaluationStatus", determining_policies_json::text as "determiningPolicies",
  diagnostics_json::text as diagnostics, metadata_json::text as metadata,
  to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "occurredAt",
  to_char(ingested_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "ingestedAt",
  coalesce(content_sha256, '') as "contentSha256", prev_content_sha256 as "prevContentSha256",
  coalesce(chain_hmac, '') as "chainHmac", chain_seq::float8 as "chainSeq"`

/** One page, ascending. Index (zone_id, chain_seq desc); a window of time prunes partitions. */
export async function readEvents(db: Queryable, query: EventQuery): Promise<LedgerEvent[]> {
  const { sql } = db
  const when = (value: unknown, condition: ReturnType<typeof sql>) =>
    value === undefined ? sql`true` : condition
  const rows = await sql<LedgerEvent[]>`
    select ${ledgerColumns(db)}
    from audit_events
    where zone_id = ${query.zoneId}
      and chain_seq > ${query.afterSeq}
      and ${when(query.since, sql`occurred_at >= ${query.since ?? null}::timestamptz`)}
      and ${when(query.until, sql`occurred_at < ${query.until ?? null}::timestamptz`)}
      and ${when(query.decision, sql`decision = ${query.decision ?? null}`)}
      and ${when(query.requestId, sql`request_id = ${query.requestId ?? null}`)}
    order by audit_events.chain_seq
    limit ${query.limit}`
  return [...rows]
}

/** Sequence number of the zone's newest link, 0 for an empty chain. */
export async function headSequence(db: Queryable, zoneId: string): Promise<number> {
  const [row] = await db.sql<{ seq: number }[]>`
    select chain_seq::float8 as seq
    from audit_chain_heads
    where zone_id = ${zoneId}`
  return row?.seq ?? 0
}
