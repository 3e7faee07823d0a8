/**
 * Read model over `audit_events`, a table of the audit role (audit-and-events §7.3).
 * Every statement is bound to one zone and newest first, by `(zone_id, occurred_at desc)` or an index that
 * begins with what is looked for. Row security keeps jsonb operators from every index: what is looked for
 * inside the metadata is found by the text that was taken from it, cut to `indexedCharacters`, and then compared.
 */
import type { Queryable } from '../../../platform/db/port.ts'
import { indexedCharacters } from '../../../platform/db/schema/audit.ts'
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
  e.id, e.zone_id, e.event_type, e.request_id, e.decision, e.policy_set_id, e.policy_set_version_id,
  e.manifest_sha, e.evaluation_status, e.determining_policies_json, e.diagnostics_json, e.metadata_json,
  e.occurred_at, e.ingested_at`

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

type FilterColumn = 'application_id' | 'agent_session_id' | 'authority_record_id'

const inMetadata = ({ sql }: Queryable, column: FilterColumn, key: string, value: string) => sql`
  ${sql(`e.${column}`)} = left(${value}, ${indexedCharacters})
  and ${value.length < indexedCharacters ? sql`true` : sql`e.metadata_json->>${key} = ${value}`}`

const hasLabel = ({ sql }: Queryable, label: string) => sql`e.metadata_json->'agent_labels' ? ${label}`

const labelled = ({ sql }: Queryable, zoneId: string, label: string) => sql`
  l.zone_id = ${zoneId} and l.label = left(${label}, ${indexedCharacters})`

/**
 * One page of a zone's events. A label leads in its own table, in the same order, unless something is given
 * that few events carry: the planner takes the two for independent and would read both whole, so the events are
 * fetched one by one (`offset 0`). Throws 400 `invalid_cursor`.
 */
export async function searchAuditEvents(
  db: Queryable,
  zoneId: string,
  filters: AuditFilters,
  query: PageQuery,
): Promise<Page<AuditEventRow>> {
  const { sql } = db
  const { request_id, session_id, authority_record_id, label } = filters
  const narrow = request_id ?? session_id ?? authority_record_id
  const leading = narrow === undefined ? label : undefined
  const compared = leading === undefined || leading.length >= indexedCharacters ? label : undefined
  const at = leading === undefined ? 'e.occurred_at' : 'l.occurred_at'
  const id = leading === undefined ? 'e.id' : 'l.event_id'
  const keys = keyset(sql, query, ['audit', zoneId, filters], at, id)
  const events = sql`
    select ${columns(db)}
    from audit_events e
    where e.zone_id = ${zoneId}
      and ${given(sql, request_id, (value) => sql`e.request_id = ${value}`)}
      and ${given(sql, filters.decision, (value) => decided(db, value))}
      and ${given(sql, filters.event_type, (value) => ofTypes(db, value))}
      and ${given(sql, filters.application_id, (value) => inMetadata(db, 'application_id', 'application_id', value))}
      and ${given(sql, session_id, (value) => inMetadata(db, 'agent_session_id', 'agent_session_id', value))}
      and ${given(sql, authority_record_id, (value) => inMetadata(db, 'authority_record_id', 'session_id', value))}
      and ${given(sql, compared, (value) => hasLabel(db, value))}`
  const from =
    leading === undefined
      ? sql`(${events}) e`
      : sql`audit_event_labels l
        cross join lateral (${events} and e.id = l.event_id and e.occurred_at = l.occurred_at offset 0) e`
  const rows = await plannedForItsValues(sql<(AuditEventRow & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position}
    from ${from}
    where ${given(sql, leading, (value) => labelled(db, zoneId, value))}
      and ${given(sql, filters.since, (value) => sql`${sql(at)} >= ${value}::timestamptz`)}
      and ${given(sql, filters.until, (value) => sql`${sql(at)} < ${value}::timestamptz`)}
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
    from audit_events e
    where e.request_id = ${requestId} and e.zone_id = ${zoneId}
    order by e.occurred_at, e.id
    limit 1000`
}
