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

/**
 * One page of who was seen in the zone. What has ended is summed up in `subjects`, in the order of the list; what
 * is active, or ended since the reaper last came by, is summed here and added. Subjects with such records are
 * all brought together (their number is that of what lives), the others are read in order until the page is full.
 */
export async function listSubjects(
  db: Queryable,
  zoneId: string,
  filters: SubjectFilters,
  query: PageQuery,
): Promise<Page<Subject>> {
  const { sql } = db
  const keys = keyset(sql, query, ['subjects', zoneId, filters], 'last_seen')
  const resting = keyset(sql, query, ['subjects', zoneId, filters], 's.last_seen', 's.subject_id')
  const pattern = filters.search === undefined ? null : `%${filters.search.replace(/[\\%_]/g, '\\$&')}%`
  const active = sql`a.status = 'active'`
  const endedSince = sql`a.status <> 'active' and a.tally <> 'done'`
  const only = (column: 'a.subject_id' | 's.subject_id') =>
    given(sql, filters.subject_id, (value) => sql`${sql(column)} = ${value}`)
  const wanted = (id: 'fresh.subject_id' | 's.subject_id') => sql`
    ${given(sql, filters.kind, (kind) => (kind === 'application' ? sql`app.id is not null` : sql`app.id is null`))}
    and ${pattern === null ? sql`true` : sql`(${sql(id)} ilike ${pattern} or app.name ilike ${pattern})`}`
  const untold = (state: typeof active) => sql`
    select a.subject_id, a.status, a.tally, a.expires_at, a.created_at, a.revoked_at, a.claims_json
    from authority_records a
    where a.zone_id = ${zoneId} and a.subject_id is not null and ${only('a.subject_id')} and ${state}`
  const hasUntold = (state: typeof active) => sql`
    (select true from authority_records a
     where a.zone_id = s.zone_id and a.subject_id = s.subject_id and ${state} limit 1)`
  const rows = await plannedForItsValues(sql<(Subject & { id: string; cursor_ts: string })[]>`
    with fresh as (
      select subject_id,
        count(*) filter (where tally = 'due')::int as records,
        count(*) filter (where status = 'active' and expires_at > now())::int as active,
        count(*) filter (where status = 'revoked')::int as revoked,
        min(created_at) as first_seen, max(created_at) as last_seen, max(revoked_at) as last_revoked_at,
        coalesce(bool_or(claims_json ? 'iss'), false) as federated, max(claims_json->>'iss') as issuer
      from (${untold(active)} union all ${untold(endedSince)}) untold
      group by subject_id
    ), living as (
      select fresh.subject_id as id, fresh.subject_id, fresh.federated or coalesce(s.federated, false) as federated,
        app.name as application_name, fresh.records + coalesce(s.records, 0)::int as total_sessions,
        fresh.active as active_sessions, fresh.revoked + coalesce(s.revoked, 0)::int as revoked_sessions,
        least(fresh.first_seen, s.first_seen) as first_seen, greatest(fresh.last_seen, s.last_seen) as last_seen,
        greatest(fresh.last_revoked_at, s.last_revoked_at) as last_revoked_at,
        greatest(fresh.issuer, s.issuer) as issuer
      from fresh
      left join subjects s on s.zone_id = ${zoneId} and s.subject_id = fresh.subject_id
      left join applications app on app.zone_id = ${zoneId} and app.id = fresh.subject_id
      where ${wanted('fresh.subject_id')}
    ), resting as (
      select s.subject_id as id, s.subject_id, s.federated, app.name as application_name,
        s.records::int as total_sessions, 0 as active_sessions, s.revoked::int as revoked_sessions,
        s.first_seen, s.last_seen, s.last_revoked_at, s.issuer
      from subjects s
      left join applications app on app.zone_id = s.zone_id and app.id = s.subject_id
      where s.zone_id = ${zoneId} and ${only('s.subject_id')} and ${wanted('s.subject_id')}
        and ${resting.after}
        and ${hasUntold(active)} is not true and ${hasUntold(endedSince)} is not true
      ${resting.tail}
    )
    select subject.*, ${keys.position}
    from (
      select living.* from living where ${keys.after}
      union all
      select resting.* from resting
    ) subject
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
