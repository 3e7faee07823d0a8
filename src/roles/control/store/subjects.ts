/** Who acted in a zone: people and applications seen on authority records (control-api §7.15). */
import type { Queryable } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import { given, keyset, type Page, type PageQuery } from './page.ts'

export interface Subject {
  readonly subject_id: string
  readonly federated: boolean
  readonly application_name: string | null
  readonly total_sessions: number
  readonly active_sessions: number
  readonly revoked_sessions: number
  readonly first_seen: Date
  readonly last_seen: Date
  readonly last_revoked_at: Date | null
  readonly issuer: string | null
}

export interface SubjectFilters {
  readonly kind?: 'user' | 'application' | undefined
  readonly search?: string | undefined
  /** Exactly this subject. */
  readonly subject_id?: string | undefined
}

/** Aggregates a zone's records by subject; uses `(zone_id, subject_id, status)`. */
export async function listSubjects(
  db: Queryable,
  zoneId: string,
  filters: SubjectFilters,
  query: PageQuery,
): Promise<Page<Subject>> {
  const { sql } = db
  const keys = keyset(sql, query, ['subjects', zoneId, filters], 'last_seen')
  const pattern = filters.search === undefined ? null : `%${filters.search.replace(/[\\%_]/g, '\\$&')}%`
  const rows = await plannedForItsValues(sql<(Subject & { id: string; cursor_ts: string })[]>`
    with subject as (
      select a.subject_id as id, a.subject_id, bool_or(a.claims_json ? 'iss') as federated,
        app.name as application_name,
        count(*)::int as total_sessions,
        count(*) filter (where a.status = 'active' and a.expires_at > now())::int as active_sessions,
        count(*) filter (where a.status = 'revoked')::int as revoked_sessions,
        min(a.created_at) as first_seen, max(a.created_at) as last_seen, max(a.revoked_at) as last_revoked_at,
        max(a.claims_json->>'iss') as issuer
      from authority_records a
      left join applications app on app.zone_id = a.zone_id and app.id = a.subject_id
      where a.zone_id = ${zoneId} and a.subject_id is not null
        and ${given(sql, filters.subject_id, (value) => sql`a.subject_id = ${value}`)}
        and (${filters.kind ?? null}::text is null or (app.id is not null) = (${filters.kind ?? null} = 'application'))
        and (${pattern}::text is null or a.subject_id ilike ${pattern} or app.name ilike ${pattern})
      group by a.subject_id, app.name
    )
    select subject.*, ${keys.position}
    from subject
    where ${keys.after}
    ${keys.tail}`)
  const page = keys.page(rows)
  return { ...page, items: page.items.map(({ id: _, ...row }) => row) }
}

export interface SubjectOverview {
  readonly governed: {
    readonly active: number
    readonly total: number
    readonly recent: readonly Readonly<Record<string, unknown>>[]
  }
  readonly approvals: { readonly pending: number; readonly total: number }
  readonly connections: readonly Readonly<Record<string, unknown>>[]
}

/** What hangs on one subject: its sessions, holds and stored accounts. */
export async function subjectOverview(
  db: Queryable,
  zoneId: string,
  subjectId: string,
): Promise<SubjectOverview> {
  const { sql } = db
  const [sessions, recent, approvals, connections] = await Promise.all([
    sql<{ active: number; total: number }[]>`
      select count(*) filter (where s.status = 'active')::int as active, count(*)::int as total
      from agent_sessions s
      join authority_records a on a.zone_id = s.zone_id and a.id = s.session_sid
      where s.zone_id = ${zoneId} and a.subject_id = ${subjectId}`,
    sql`
      select s.id as session_id, s.application_id, app.name as application_name, s.lifecycle, s.status,
        s.spawned_at as started_at
      from agent_sessions s
      join authority_records a on a.zone_id = s.zone_id and a.id = s.session_sid
      left join applications app on app.zone_id = s.zone_id and app.id = s.application_id
      where s.zone_id = ${zoneId} and a.subject_id = ${subjectId}
      order by s.spawned_at desc
      limit 5`,
    sql<{ pending: number; total: number }[]>`
      select count(*) filter (
          where satisfied_at is null and rejected_at is null and consumed_at is null and expires_at > now()
        )::int as pending,
        count(*)::int as total
      from step_up_challenges
      where zone_id = ${zoneId} and (principal_id = ${subjectId} or subject_anchor = ${subjectId})`,
    sql`
      select c.id, c.provider_id, p.name as provider_name, c.status, c.expires_at, c.created_at
      from provider_connections c
      join providers p on p.zone_id = c.zone_id and p.id = c.provider_id
      where c.zone_id = ${zoneId} and c.subject_id = ${subjectId}
      order by c.created_at desc
      limit 10`,
  ])
  return {
    governed: { active: sessions[0]?.active ?? 0, total: sessions[0]?.total ?? 0, recent },
    approvals: { pending: approvals[0]?.pending ?? 0, total: approvals[0]?.total ?? 0 },
    connections,
  }
}
