/** One zone at a glance (control-api §7.19). An unknown zone is all zeros. */
import type { Queryable } from '../../../platform/db/port.ts'

export interface RecentEvent {
  readonly id: string
  readonly event_type: string
  readonly request_id: string | null
  readonly decision: string | null
  readonly metadata_json: Readonly<Record<string, unknown>> | null
  readonly occurred_at: Date
}

export interface Overview {
  readonly generated_at: Date
  readonly applications: { readonly total: number; readonly expired: number; readonly expiring_soon: number }
  readonly resources: { readonly total: number; readonly unenforced: number }
  readonly providers: { readonly total: number }
  readonly policy_sets: {
    readonly total: number
    readonly enforcing: number
    readonly active_name: string | null
  }
  readonly sessions: { readonly active: number }
  readonly decisions_24h: { readonly allowed: number; readonly denied: number }
}

export async function zoneOverview(db: Queryable, zoneId: string): Promise<Overview> {
  const [row] = await db.sql<Overview[]>`
    select now() as generated_at,
      (select jsonb_build_object(
          'total', count(*),
          'expired', count(*) filter (where expires_at <= now()),
          'expiring_soon', count(*) filter (where expires_at > now() and expires_at <= now() + interval '7 days'))
        from applications where zone_id = ${zoneId} and archived_at is null) as applications,
      (select jsonb_build_object(
          'total', count(*), 'unenforced', count(*) filter (where operation_enforcement <> 'enforced'))
        from resources where zone_id = ${zoneId} and archived_at is null) as resources,
      (select jsonb_build_object('total', count(*))
        from providers where zone_id = ${zoneId} and archived_at is null) as providers,
      (select jsonb_build_object(
          'total', count(*),
          'enforcing', count(b.active_version_id),
          'active_name', max(s.name) filter (where b.active_version_id is not null))
        from policy_sets s
        left join policy_set_bindings b on b.zone_id = s.zone_id and b.policy_set_id = s.id
        where s.zone_id = ${zoneId} and s.archived_at is null) as policy_sets,
      (select jsonb_build_object('active', count(*))
        from authority_records
        where zone_id = ${zoneId} and status = 'active' and expires_at > now()) as sessions,
      (select jsonb_build_object(
          'allowed', count(*) filter (where decision = 'allow'),
          'denied', count(*) filter (where decision = 'deny'))
        from audit_events
        where zone_id = ${zoneId} and occurred_at > now() - interval '24 hours') as decisions_24h`
  if (row === undefined) throw new Error('an aggregate without a row')
  return row
}

export async function recentEvents(db: Queryable, zoneId: string): Promise<RecentEvent[]> {
  return await db.sql<RecentEvent[]>`
    select id, event_type, request_id, decision, metadata_json, occurred_at
    from audit_events where zone_id = ${zoneId}
    order by occurred_at desc nulls last, id desc nulls last
    limit 10`
}
