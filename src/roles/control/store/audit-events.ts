/**
 * Read model over `audit_events`, a table of the audit role (audit-and-events §7.3).
 * Every statement is bound to one zone and newest first; ranges use
 * `(zone_id, occurred_at desc)`, anchors the expression indexes on metadata.
 */
import type { Queryable } from '../../../platform/db/port.ts'
import { keyset, type Page, type PageQuery } from './page.ts'

export interface AuditEventRow {
  readonly id: string
  readonly zone_id: string
  readonly event_type: string
  readonly request_id: string | null
  readonly decision: string | null
  readonly policy_set_id: string | null
  readonly policy_set_version_id: string | null
  readonly manifest_sha: string | null
  readonly evaluation_status: string | null
  readonly determining_policies_json: unknown
  readonly diagnostics_json: unknown
  readonly metadata_json: Readonly<Record<string, unknown>> | null
  readonly occurred_at: Date
  readonly ingested_at: Date
}

export interface AuditFilters {
  /** Inclusive. */
  readonly since?: string | undefined
  /** Exclusive. */
  readonly until?: string | undefined
  readonly request_id?: string | undefined
  readonly decision?: string | undefined
  readonly event_type?: readonly string[] | undefined
  readonly application_id?: string | undefined
  readonly session_id?: string | undefined
  readonly authority_record_id?: string | undefined
  readonly label?: string | undefined
}

const columns = ({ sql }: Queryable) => sql`
  id, zone_id, event_type, request_id, decision, policy_set_id, policy_set_version_id, manifest_sha,
  evaluation_status, determining_policies_json, diagnostics_json, metadata_json, occurred_at, ingested_at`

/** One page of a zone's events. Throws 400 `invalid_cursor`. */
export async function searchAuditEvents(
  db: Queryable,
  zoneId: string,
  filters: AuditFilters,
  query: PageQuery,
): Promise<Page<AuditEventRow>> {
  const { sql } = db
  const keys = keyset(sql, query, ['audit', zoneId, filters], 'occurred_at')
  const when = (value: unknown, condition: ReturnType<typeof sql>) =>
    value === undefined ? sql`true` : condition
  const rows = await sql<(AuditEventRow & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position}
    from audit_events
    where zone_id = ${zoneId}
      and ${when(filters.since, sql`occurred_at >= ${filters.since ?? null}::timestamptz`)}
      and ${when(filters.until, sql`occurred_at < ${filters.until ?? null}::timestamptz`)}
      and ${when(filters.request_id, sql`request_id = ${filters.request_id ?? null}`)}
      and ${when(filters.decision, sql`decision = ${filters.decision ?? null}`)}
      and ${when(filters.event_type, sql`event_type = any(${(filters.event_type ?? []) as string[]}::text[])`)}
      and ${when(filters.application_id, sql`metadata_json->>'application_id' = ${filters.application_id ?? null}`)}
      and ${when(
        filters.session_id,
        sql`metadata_json ? 'agent_session_id' and metadata_json->>'agent_session_id' = ${filters.session_id ?? null}`,
      )}
      and ${when(
        filters.authority_record_id,
        sql`metadata_json ? 'session_id' and metadata_json->>'session_id' = ${filters.authority_record_id ?? null}`,
      )}
      and ${when(filters.label, sql`metadata_json->'agent_labels' ? ${filters.label ?? ''}`)}
      and ${keys.after}
    ${keys.tail}`
  return keys.page(rows)
}

/** Every event of one request in a zone, oldest first; bounded, a request has few. */
export async function auditEventsOfRequest(
  db: Queryable,
  zoneId: string,
  requestId: string,
): Promise<AuditEventRow[]> {
  return await db.sql<AuditEventRow[]>`
    select ${columns(db)}
    from audit_events
    where request_id = ${requestId} and zone_id = ${zoneId}
    order by occurred_at, id
    limit 1000`
}
