/** Reading the administrative ledger of a zone (audit-and-events §8.3). Writing it is the platform's business. */
import type { Queryable } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import { given, keyset, type Page, type PageQuery } from './page.ts'

export interface AdminAuditRow {
  readonly id: string
  readonly request_id: string
  readonly actor_id: string | null
  readonly actor_name: string | null
  readonly actor_scope: string | null
  readonly action: string
  readonly method: string
  readonly path: string
  readonly entity_type: string | null
  readonly entity_id: string | null
  readonly status_code: number
  readonly payload_json: Readonly<Record<string, unknown>> | null
  readonly occurred_at: Date
  readonly chain_seq: number
  readonly signed: boolean
}

export interface AdminAuditFilters {
  /** Inclusive. */
  readonly since?: string | undefined
  /** Exclusive. */
  readonly until?: string | undefined
  readonly actor_id?: string | undefined
  readonly entity_type?: string | undefined
  readonly entity_id?: string | undefined
  readonly method?: string | undefined
}

export async function listAdminAudit(
  db: Queryable,
  zoneId: string,
  filters: AdminAuditFilters,
  query: PageQuery,
): Promise<Page<AdminAuditRow>> {
  const { sql } = db
  const keys = keyset(sql, query, ['admin_audit', zoneId, filters], 'occurred_at')
  const rows = await plannedForItsValues(sql<(AdminAuditRow & { cursor_ts: string })[]>`
    select id, request_id, actor_id, actor_name, actor_scope, action, method, path, entity_type, entity_id,
      status_code, payload_json, occurred_at, chain_seq::float8 as chain_seq, chain_hmac is not null as signed,
      ${keys.position}
    from admin_audit_events
    where zone_id = ${zoneId}
      and ${given(sql, filters.since, (value) => sql`occurred_at >= ${value}::timestamptz`)}
      and ${given(sql, filters.until, (value) => sql`occurred_at < ${value}::timestamptz`)}
      and ${given(sql, filters.actor_id, (value) => sql`actor_id = ${value}`)}
      and ${given(sql, filters.entity_type, (value) => sql`entity_type = ${value}`)}
      and ${given(sql, filters.entity_id, (value) => sql`entity_id = ${value}`)}
      and ${given(sql, filters.method, (value) => sql`method = ${value}`)}
      and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}
