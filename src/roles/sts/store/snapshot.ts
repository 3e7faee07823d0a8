/**
 * The one read of an exchange (design §3): everything the decision needs that must
 * be fresh, for all requests of one event-loop turn, in one prepared statement.
 *
 * - `now` is the trusted clock of the exchange; liveness is judged against it.
 * - Definitions come with the version of their rows (`xmin` changes with every
 *   write) and with their content only when the caller's version differs.
 * - The lineage is followed leaf to root for at most 11 edges: one more than is
 *   ever valid, so that an overlong or circular chain shows itself.
 *
 * Takes no locks. Every table is reached by primary key or by the index named in
 * its comment; the parameter is one JSON array, so the plan is prepared once.
 */
import { createCoalescer } from '../../../platform/bus/coalesce.ts'
import type { Database } from '../../../platform/db/port.ts'

export interface SnapshotQuery {
  readonly zoneId: string
  readonly applicationId: string
  readonly applicationKnown: string | null
  /** Authority record the request presents. */
  readonly recordId: string | null
  readonly sessionId: string | null
  readonly edgeId: string | null
  readonly resources: readonly { readonly name: string; readonly known: string | null }[]
  readonly keyKnown: string | null
}

export interface RecordState {
  readonly id: string
  readonly session_type: 'user' | 'application'
  readonly subject_id: string | null
  readonly status: string
  /** Milliseconds since the epoch, as every time of a snapshot. */
  readonly expires_at: number
}

export interface SessionState {
  readonly id: string
  readonly application_id: string
  readonly status: string
  readonly lifecycle: 'task' | 'service'
  readonly labels: readonly string[]
  readonly ttl_seconds: number | null
  readonly started_at: number
  readonly heartbeat_deadline_at: number | null
  readonly parent_id: string | null
  readonly depth: number
  /** Its subject authority record. */
  readonly record: RecordState | null
}

export interface EdgeState {
  /** 1 for the leaf, counting towards the root. */
  readonly step: number
  readonly id: string
  readonly parent_edge_id: string | null
  readonly source_session_id: string
  readonly target_session_id: string
  readonly issuer_application_id: string
  readonly receiver_application_id: string
  readonly resource_id: string | null
  readonly scopes: readonly string[]
  readonly constraints_json: unknown
  readonly status: string
  readonly expires_at: number
  readonly revoked: boolean
  readonly edge_version: number
}

export interface ApplicationRow {
  readonly name: string
  readonly registration_method: 'managed' | 'dcr'
  readonly client_secret_hash: string | null
  readonly traits: readonly string[]
}

export interface ResourceRow {
  readonly id: string
  readonly identifier: string
  readonly upstream_url: string | null
  readonly scopes: readonly string[]
  readonly operations: unknown
  readonly operation_enforcement: 'enforced' | 'transport_uniform'
  readonly credential_provider_id: string | null
  readonly provider: {
    readonly id: string
    readonly provider_kind: string
    readonly config_json: Readonly<Record<string, unknown>>
    /** Hex of the CSS1 envelope. */
    readonly envelope: string | null
  } | null
}

export interface Snapshot {
  readonly now: number
  /** `null`: no live application of that id in that (live) zone. */
  readonly application_version: string | null
  readonly application: ApplicationRow | null
  readonly record: RecordState | null
  readonly sessions: readonly SessionState[]
  readonly lineage: readonly EdgeState[]
  readonly epoch: number
  /** `version` `null`: no such resource. */
  readonly resources: readonly {
    readonly name: string
    readonly version: string | null
    readonly definition: ResourceRow | null
  }[]
  readonly policy_set_id: string | null
  readonly policy_set_version_id: string | null
  /** The key that signs now; `null` before the first. */
  readonly kid: string | null
  /** Hex of the key's CSS1 envelope, only when `kid` differs from `keyKnown`. */
  readonly key_envelope: string | null
}

export type ReadSnapshot = (query: SnapshotQuery) => Promise<Snapshot>

/** Batches of one turn, at most two statements in flight. Rejects with the driver's error. */
export function createSnapshotReader(db: Pick<Database, 'sql'>): ReadSnapshot {
  const batches = createCoalescer<SnapshotQuery, Snapshot>({
    maxItems: 64,
    flush: async (queries) => {
      const rows = await readSnapshots(db, queries)
      const answers = new Array<Snapshot>(queries.length)
      for (const row of rows) answers[row.n] = row
      return answers
    },
  })
  return (query) => batches.add(query)
}

async function readSnapshots(db: Pick<Database, 'sql'>, queries: readonly SnapshotQuery[]) {
  const requests = JSON.stringify(
    queries.map((query, n) => ({
      n,
      zone: query.zoneId,
      app: query.applicationId,
      app_known: query.applicationKnown,
      record: query.recordId,
      session: query.sessionId,
      edge: query.edgeId,
      key_known: query.keyKnown,
      resources: query.resources,
    })),
  )
  return db.sql<(Snapshot & { readonly n: number })[]>`
    with recursive req as materialized (
      select n, zone, app, app_known, record, session, edge, key_known, resources
      from json_to_recordset(${requests}::text::json)
        as r(n int, zone text, app text, app_known text, record text, session text, edge text,
             key_known text, resources json)
    ),
    lineage as (
      select q.n, 1 as step, e.zone_id, e.id, e.parent_edge_id, e.source_agent_id, e.target_agent_id,
             e.issuer_application_id, e.receiver_application_id, e.resource_id, e.scopes,
             e.constraints_json, e.status, e.expires_at, e.revoked_at, e.edge_version
      from req q
      join delegation_edges e on e.id = q.edge and e.zone_id = q.zone
      union all
      select l.n, l.step + 1, e.zone_id, e.id, e.parent_edge_id, e.source_agent_id, e.target_agent_id,
             e.issuer_application_id, e.receiver_application_id, e.resource_id, e.scopes,
             e.constraints_json, e.status, e.expires_at, e.revoked_at, e.edge_version
      from lineage l
      join delegation_edges e on e.id = l.parent_edge_id and e.zone_id = l.zone_id
      where l.step < 11
    ),
    named_session as (
      select n, zone, session as id from req where session is not null
      union
      select n, zone_id, source_agent_id from lineage
      union
      select n, zone_id, target_agent_id from lineage
    )
    select
      q.n,
      (extract(epoch from now()) * 1000)::float8 as now,
      app.version as application_version,
      app.definition as application,
      (
        select json_build_object(
          'id', a.id, 'session_type', a.session_type, 'subject_id', a.subject_id, 'status', a.status,
          'expires_at', extract(epoch from a.expires_at) * 1000)
        from authority_records a
        where a.id = q.record and a.zone_id = q.zone
      ) as record,
      coalesce((
        select json_agg(json_build_object(
          'id', s.id, 'application_id', s.application_id, 'status', s.status, 'lifecycle', s.lifecycle,
          'labels', s.labels, 'ttl_seconds', s.ttl_seconds,
          'started_at', extract(epoch from s.spawned_at) * 1000,
          'heartbeat_deadline_at', extract(epoch from s.heartbeat_deadline_at) * 1000,
          'parent_id', s.parent_id, 'depth', s.depth,
          'record', case when a.id is null then null else json_build_object(
            'id', a.id, 'session_type', a.session_type, 'subject_id', a.subject_id, 'status', a.status,
            'expires_at', extract(epoch from a.expires_at) * 1000) end))
        from named_session m
        join agent_sessions s on s.id = m.id and s.zone_id = m.zone
        left join authority_records a on a.id = s.session_sid and a.zone_id = s.zone_id
        where m.n = q.n
      ), '[]'::json) as sessions,
      coalesce((
        select json_agg(json_build_object(
          'step', l.step, 'id', l.id, 'parent_edge_id', l.parent_edge_id,
          'source_session_id', l.source_agent_id, 'target_session_id', l.target_agent_id,
          'issuer_application_id', l.issuer_application_id,
          'receiver_application_id', l.receiver_application_id,
          'resource_id', l.resource_id, 'scopes', l.scopes, 'constraints_json', l.constraints_json,
          'status', l.status, 'expires_at', extract(epoch from l.expires_at) * 1000,
          'revoked', l.revoked_at is not null, 'edge_version', l.edge_version) order by l.step)
        from lineage l
        where l.n = q.n
      ), '[]'::json) as lineage,
      coalesce((
        select g.epoch from delegation_graph_epochs g where q.edge is not null and g.zone_id = q.zone
      ), 0)::float8 as epoch,
      coalesce((
        select json_agg(json_build_object('name', x.name, 'version', d.version, 'definition', d.definition))
        from json_to_recordset(q.resources) as x(name text, known text)
        left join lateral (
          select v.version,
                 case when v.version = x.known then null else json_build_object(
                   'id', r.id, 'identifier', r.identifier, 'upstream_url', r.upstream_url,
                   'scopes', r.scopes, 'operations', r.operations,
                   'operation_enforcement', r.operation_enforcement,
                   'credential_provider_id', r.credential_provider_id,
                   'provider', case when p.id is null then null else json_build_object(
                     'id', p.id, 'provider_kind', p.provider_kind, 'config_json', p.config_json,
                     'envelope', encode(k.envelope, 'hex')) end) end as definition
          from resources r
          left join providers p
            on p.id = r.credential_provider_id and p.zone_id = r.zone_id and p.archived_at is null
          left join secret_store k
            on k.ref = 'zones/' || p.zone_id || '/providers/' || p.id || '/secretConfig'
          cross join lateral (
            select concat_ws('.', r.id, r.xmin::text, coalesce(p.xmin::text, '-'), coalesce(k.xmin::text, '-'))
              as version
          ) v
          where r.zone_id = q.zone and (r.identifier = x.name or r.id = x.name) and r.archived_at is null
          order by (r.identifier = x.name) desc
          limit 1
        ) d on true
      ), '[]'::json) as resources,
      binding.policy_set_id,
      binding.active_version_id as policy_set_version_id,
      signing.id as kid,
      case when signing.id = q.key_known then null else encode(signing.envelope, 'hex') end as key_envelope
    from req q
    left join lateral (
      select a.xmin::text as version,
             case when a.xmin::text = q.app_known then null else json_build_object(
               'name', a.name, 'registration_method', a.registration_method,
               'client_secret_hash', a.client_secret_hash, 'traits', a.traits) end as definition
      from applications a
      join zones z on z.id = a.zone_id and z.archived_at is null
      where a.id = q.app
        and a.zone_id = q.zone
        and a.archived_at is null
        and (a.expires_at is null or a.expires_at > now())
    ) app on true
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
    ) signing on true`
}
