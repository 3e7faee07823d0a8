/** Read models over authority records (sts) and sessions (coordinator) for operators (control-api §7.18). */
import type { Queryable } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import { given, keyset, type Page, type PageQuery } from './page.ts'

export interface AuthorityRecord {
  readonly authority_record_id: string
  readonly zone_id: string
  readonly authority_record_type: 'user' | 'application'
  readonly subject_id: string | null
  readonly federated_user_issuer: string | null
  readonly parent_authority_record_id: string | null
  readonly status: 'active' | 'revoked' | 'expired'
  readonly expires_at: Date
  readonly authenticated_at: Date
  readonly created_at: Date
  readonly revoked_at: Date | null
  readonly revoked_reason: string | null
}

export interface AuthorityRecordFilters {
  readonly authority_record_id?: string | undefined
  readonly status?: 'active' | 'revoked' | 'expired' | undefined
  readonly subject_id?: string | undefined
  readonly kind?: 'user' | 'application' | undefined
}

export async function listAuthorityRecords(
  db: Queryable,
  zoneId: string,
  filters: AuthorityRecordFilters,
  query: PageQuery,
): Promise<Page<AuthorityRecord>> {
  const { sql } = db
  const keys = keyset(sql, query, ['authority_records', zoneId, filters])
  const rows = await plannedForItsValues(sql<(AuthorityRecord & { id: string; cursor_ts: string })[]>`
    select id, id as authority_record_id, zone_id, session_type as authority_record_type, subject_id,
      claims_json->>'iss' as federated_user_issuer, parent_id as parent_authority_record_id, status,
      expires_at, authenticated_at, created_at, revoked_at, revoked_reason, ${keys.position}
    from authority_records
    where zone_id = ${zoneId}
      and ${given(sql, filters.authority_record_id, (value) => sql`id = ${value}`)}
      and ${given(sql, filters.status, (value) => (value === 'active' ? sql`status = 'active'` : sql`status = ${value}`))}
      and ${given(sql, filters.subject_id, (value) => sql`subject_id = ${value}`)}
      and ${given(sql, filters.kind, (value) => sql`session_type = ${value}`)}
      and ${keys.after}
    ${keys.tail}`)
  const page = keys.page(rows)
  return { ...page, items: page.items.map(({ id: _, ...row }) => row) }
}

export interface SessionRow {
  readonly session_id: string
  readonly application_id: string
  readonly parent_session_id: string | null
  readonly status: string
  readonly lifecycle: 'task' | 'service'
  readonly labels: readonly string[]
  readonly depth: number
  readonly child_count: number
  readonly subject_authority_record_id: string
  readonly subject_id: string | null
  readonly federated_user_id: string | null
  readonly federated_user_issuer: string | null
  readonly started_at: Date
  readonly last_active_at: Date
  readonly terminated_at: Date | null
  readonly termination_reason: string | null
  readonly ttl_seconds: number | null
}

export interface SessionFilters {
  readonly status?: 'active' | 'suspended' | 'terminated' | 'expired' | undefined
  readonly lifecycle?: 'task' | 'service' | undefined
  readonly application_id?: string | undefined
  readonly parent_session_id?: string | undefined
  readonly subject_id?: string | undefined
  readonly label?: string | undefined
}

/** `expired` is a terminated session whose time ran out. */
function statusCondition({ sql }: Queryable, status: SessionFilters['status']) {
  if (status === undefined) return sql`true`
  if (status === 'expired') {
    return sql`(s.status = 'expired' or (s.status = 'terminated' and s.termination_reason = 'ttl'))`
  }
  return sql`s.status = ${status}`
}

export async function listSessions(
  db: Queryable,
  zoneId: string,
  filters: SessionFilters,
  query: PageQuery,
): Promise<Page<SessionRow>> {
  const { sql } = db
  const { label } = filters
  const order =
    label === undefined ? (['s.spawned_at', 's.id'] as const) : (['l.spawned_at', 'l.session_id'] as const)
  const keys = keyset(sql, query, ['sessions', zoneId, filters], ...order)
  const rows = await plannedForItsValues(sql<(SessionRow & { id: string; cursor_ts: string })[]>`
    select s.id, s.id as session_id, s.application_id, s.parent_id as parent_session_id, s.status, s.lifecycle,
      s.labels, s.depth, s.child_count, s.session_sid as subject_authority_record_id, a.subject_id,
      case when a.claims_json ? 'iss' then a.subject_id end as federated_user_id,
      a.claims_json->>'iss' as federated_user_issuer,
      s.spawned_at as started_at, s.last_active_at, s.terminated_at, s.termination_reason, s.ttl_seconds,
      ${keys.position}
    from agent_sessions s
    ${label === undefined ? sql`` : sql`join agent_session_labels l on l.zone_id = s.zone_id and l.session_id = s.id`}
    left join authority_records a on a.zone_id = s.zone_id and a.id = s.session_sid
    where s.zone_id = ${zoneId}
      and ${statusCondition(db, filters.status)}
      and ${given(sql, filters.lifecycle, (value) => sql`s.lifecycle = ${value}`)}
      and ${given(sql, filters.application_id, (value) => sql`s.application_id = ${value}`)}
      and ${given(sql, filters.parent_session_id, (value) => sql`s.parent_id = ${value}`)}
      and ${given(sql, filters.subject_id, (value) => sql`a.subject_id = ${value}`)}
      and ${given(sql, label, (value) => sql`l.zone_id = ${zoneId} and l.label = ${value}`)}
      and ${keys.after}
    ${keys.tail}`)
  const page = keys.page(rows)
  return { ...page, items: page.items.map(({ id: _, ...row }) => row) }
}
