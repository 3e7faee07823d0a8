/**
 * The statement behind a read snapshot. Requests that name the same application,
 * session or resource share its row, and the answer is one flat row per fact (`kind`
 * says which), because building JSON in the store costs several times what the
 * look-ups do. Takes no locks; every table is reached by primary key or by the unique
 * index of its natural key: each look-up is a lateral query of one row, which leaves the
 * planner no other way, whatever it believes about the size of a table.
 */
import type { Database } from '../../../platform/db/port.ts'
import type { SnapshotQuery } from './snapshot.ts'

/** One fact; what `a` to `o` mean depends on `kind` (see `snapshot-assembly.ts`). */
export interface FactRow {
  readonly kind: string
  readonly a: string
  readonly b: string | null
  readonly c: string | null
  readonly d: string | null
  readonly e: string | null
  readonly f: string | null
  readonly g: string | null
  readonly h: string | null
  readonly i: string | null
  readonly j: string | null
  readonly k: string | null
  readonly l: string | null
  readonly m: string | null
  readonly n: string | null
}

/** All facts of a batch of requests, in one prepared statement. */
export function readFacts(db: Pick<Database, 'sql'>, queries: readonly SnapshotQuery[]) {
  const zones = heldVersions(queries.map((query) => [query.zoneId, query.keyKnown]))
  const applications = heldVersions(queries.map((query) => [query.applicationId, query.applicationKnown]))
  const resources = heldVersions(
    queries.flatMap((query) =>
      query.resources.map(({ name, known }) => [`${query.zoneId}\0${name}`, known] as const),
    ),
  )
  const named = [...resources].map(([key, known]) => {
    const at = key.indexOf('\0')
    return { zone: key.slice(0, at), name: key.slice(at + 1), known }
  })
  const records = present(queries.map((query) => query.recordId))
  const sessions = present(queries.map((query) => query.sessionId))
  const edges = present(queries.map((query) => query.edgeId))
  return db.sql<FactRow[]>`
    with recursive lineage as (
      select 1 as step, e.id, e.zone_id, e.parent_edge_id, e.source_agent_id, e.target_agent_id,
             e.issuer_application_id, e.receiver_application_id, e.resource_id, e.scopes,
             e.constraints_json, e.status, e.expires_at, e.revoked_at, e.edge_version,
             e.xmin::text as row_version
      from delegation_edges e
      where e.id = any(${edges}::text[])
      union all
      select l.step + 1, e.*
      from lineage l
      cross join lateral (
        select e.id, e.zone_id, e.parent_edge_id, e.source_agent_id, e.target_agent_id,
               e.issuer_application_id, e.receiver_application_id, e.resource_id, e.scopes,
               e.constraints_json, e.status, e.expires_at, e.revoked_at, e.edge_version, e.xmin::text
        from delegation_edges e
        where e.id = l.parent_edge_id
        limit 1
      ) e
      where l.step < 11 and e.zone_id = l.zone_id
    ),
    named_session as (
      select unnest(${sessions}::text[]) as id
      union
      select source_agent_id from lineage
      union
      select target_agent_id from lineage
    )
    select 'zone' as kind, q.zone as a, binding.policy_set_id as b, binding.active_version_id as c,
           signing.id as d,
           case when signing.id = q.key_held then null else encode(signing.envelope, 'hex') end as e,
           (extract(epoch from now()) * 1000)::text as f,
           case when cardinality(${edges}::text[]) = 0 then null else (
             select g.epoch::text from delegation_graph_epochs g where g.zone_id = q.zone
           ) end as g,
           definitions.version as h, null as i, null as j, null as k, null as l, null as m, null as n
    from unnest(${[...zones.keys()]}::text[], ${[...zones.values()]}::text[]) as q(zone, key_held)
    left join lateral (
      select b.policy_set_id, b.active_version_id
      from policy_set_bindings b
      where b.zone_id = q.zone and b.active_version_id is not null
      limit 1
    ) binding on true
    left join lateral (
      select s.id, s.envelope
      from secrets s
      where s.zone_id = q.zone
        and s.entity_id = q.zone
        and s.name = 'zone_signing_key'
        and s.type = 'token'
        and s.active_from <= now()
      order by s.version desc
      limit 1
    ) signing on true
    left join lateral (
      select d.version from definition_versions d where d.zone_id = q.zone limit 1
    ) definitions on true
    union all
    select 'application', a.id, a.zone_id, a.version,
           case when a.version = q.known then null else json_build_object(
             'name', a.name, 'registration_method', a.registration_method,
             'client_secret_hash', a.client_secret_hash, 'traits', a.traits)::text end,
           (extract(epoch from a.expires_at) * 1000)::text,
           null, null, null, null, null, null, null, null, null
    from unnest(${[...applications.keys()]}::text[],
                ${[...applications.values()]}::text[]) as q(id, known)
    cross join lateral (
      select p.*, p.xmin::text as version from applications p where p.id = q.id limit 1
    ) a
    cross join lateral (select z.archived_at from zones z where z.id = a.zone_id limit 1) z
    where z.archived_at is null
      and a.archived_at is null
      and (a.expires_at is null or a.expires_at > now())
    union all
    select 'record', a.id, a.zone_id, a.session_type, a.subject_id, a.status,
           (extract(epoch from a.expires_at) * 1000)::text,
           null, null, null, null, null, null, null, null
    from authority_records a
    where a.id = any(${records}::text[])
    union all
    select 'session', s.id, s.zone_id, s.application_id, s.status, s.lifecycle,
           array_to_json(s.labels)::text, s.ttl_seconds::text,
           (extract(epoch from s.spawned_at) * 1000)::text,
           (extract(epoch from s.heartbeat_deadline_at) * 1000)::text,
           s.parent_id, s.depth::text, a.id,
           concat_ws(' ', a.session_type, a.status, extract(epoch from a.expires_at) * 1000),
           a.subject_id
    from named_session m
    cross join lateral (select t.* from agent_sessions t where t.id = m.id limit 1) s
    left join lateral (
      select r.id, r.zone_id, r.session_type, r.status, r.expires_at, r.subject_id
      from authority_records r
      where r.id = s.session_sid
      limit 1
    ) a on a.zone_id = s.zone_id
    union all
    select 'edge', l.id, l.zone_id, l.parent_edge_id, l.source_agent_id, l.target_agent_id,
           l.issuer_application_id, l.receiver_application_id, l.resource_id,
           array_to_json(l.scopes)::text, l.constraints_json::text, l.status,
           (extract(epoch from l.expires_at) * 1000)::text, (l.revoked_at is not null)::text,
           concat_ws(' ', l.edge_version, l.row_version)
    from lineage l
    union all
    select 'resource', q.name, q.zone, v.version,
           case when v.version = q.known then null else json_build_object(
             'id', r.id, 'identifier', r.identifier, 'upstream_url', r.upstream_url,
             'scopes', r.scopes, 'operations', r.operations,
             'operation_enforcement', r.operation_enforcement,
             'credential_provider_id', r.credential_provider_id,
             'provider', case when p.id is null then null else json_build_object(
               'id', p.id, 'provider_kind', p.provider_kind, 'config_json', p.config_json,
               'envelope', encode(k.envelope, 'hex')) end)::text end,
           null, null, null, null, null, null, null, null, null, null
    from unnest(${named.map((one) => one.zone)}::text[], ${named.map((one) => one.name)}::text[],
                ${named.map((one) => one.known)}::text[]) as q(zone, name, known)
    cross join lateral (
      (select t.*, t.xmin::text as row_version from resources t
       where t.zone_id = q.zone and t.identifier = q.name and t.archived_at is null
       limit 1)
      union all
      (select t.*, t.xmin::text from resources t where t.id = q.name limit 1)
      limit 1
    ) r
    left join lateral (
      select t.id, t.zone_id, t.provider_kind, t.config_json, t.archived_at, t.xmin::text as row_version,
             'zones/' || t.zone_id || '/providers/' || t.id || '/secretConfig' as secret_ref
      from providers t
      where t.id = r.credential_provider_id
      limit 1
    ) p on p.zone_id = r.zone_id and p.archived_at is null
    left join lateral (
      select t.envelope, t.xmin::text as row_version from secret_store t where t.ref = p.secret_ref limit 1
    ) k on true
    cross join lateral (
      select concat_ws('.', r.id, r.row_version, coalesce(p.row_version, '-'), coalesce(k.row_version, '-'))
        as version
    ) v
    where r.zone_id = q.zone and r.archived_at is null`
}

/** The version each key is held at; `''` (send the content) as soon as one request does not hold that version. */
function heldVersions(
  held: readonly (readonly [key: string, version: string | null])[],
): Map<string, string> {
  const versions = new Map<string, string>()
  for (const [key, version] of held) {
    const other = versions.get(key)
    versions.set(key, other === undefined || other === version ? (version ?? '') : '')
  }
  return versions
}

function present(ids: readonly (string | null)[]): string[] {
  return [...new Set(ids.filter((id) => id !== null))]
}
