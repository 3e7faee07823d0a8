/**
 * Read model over `audit_events`, a table of the audit role (audit-and-events §7.3).
 * Every statement is bound to one zone and newest first, by `(zone_id, occurred_at desc)`. What is looked
 * for inside the metadata is found by walking that index: row security keeps jsonb operators from every
 * other one, and naming the condition of a partial index would read it whole, across all zones.
 */
import type { Queryable } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import { given, keyset, type Page, type PageQuery } from './page.ts'

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

/** Whatever was not allowed has an index of its own, which the literal lets the planner see. */
const decided = ({ sql }: Queryable, decision: string) =>
  decision === 'allow' ? sql`decision = 'allow'` : sql`decision = ${decision} and decision <> 'allow'`

const bulk: readonly string[] = ['token_exchange', 'gateway_resource_request']

/** So have the types that do not make the bulk of the ledger. */
function ofTypes({ sql }: Queryable, types: readonly string[]) {
  const wanted = sql`event_type = any(${types as string[]}::text[])`
  if (types.some((type) => bulk.includes(type))) return wanted
  return sql`${wanted} and event_type <> 'token_exchange' and event_type <> 'gateway_resource_request'`
}

/** One page of a zone's events. Throws 400 `invalid_cursor`. */
export async function searchAuditEvents(
  db: Queryable,
  zoneId: string,
  filters: AuditFilters,
  query: PageQuery,
): Promise<Page<AuditEventRow>> {
  const { sql } = db
  const keys = keyset(sql, query, ['audit', zoneId, filters], 'occurred_at')
  const rows = await plannedForItsValues(sql<(AuditEventRow & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position}
    from audit_events
    where zone_id = ${zoneId}
      and ${given(sql, filters.since, (value) => sql`occurred_at >= ${value}::timestamptz`)}
      and ${given(sql, filters.until, (value) => sql`occurred_at < ${value}::timestamptz`)}
      and ${given(sql, filters.request_id, (value) => sql`request_id = ${value}`)}
      and ${given(sql, filters.decision, (value) => decided(db, value))}
      and ${given(sql, filters.event_type, (value) => ofTypes(db, value))}
      and ${given(sql, filters.application_id, (value) => sql`metadata_json->>'application_id' = ${value}`)}
      and ${given(sql, filters.session_id, (value) => sql`metadata_json->>'agent_session_id' = ${value}`)}
      and ${given(sql, filters.authority_record_id, (value) => sql`metadata_json->>'session_id' = ${value}`)}
      and ${given(sql, filters.label, (value) => sql`metadata_json->'agent_labels' ? ${value}`)}
      and ${keys.after}
    ${keys.tail}`)
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
