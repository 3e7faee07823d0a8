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
 * Requests that name the same application, session or resource share its row. The
 * answer is one flat row per fact (`kind` says which), because building JSON in the
 * store costs several times what the lookups do. Takes no locks; every table is
 * reached by primary key or by the unique index of its natural key.
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
      const facts = gatherFacts(await readFacts(db, queries))
      return queries.map((query) => assemble(query, facts))
    },
  })
  return (query) => batches.add(query)
}

/** One fact; what `a` to `o` mean depends on `kind` (see `gatherFacts`). */
interface FactRow {
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

function readFacts(db: Pick<Database, 'sql'>, queries: readonly SnapshotQuery[]) {
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
             e.constraints_json, e.status, e.expires_at, e.revoked_at, e.edge_version
      from delegation_edges e
      where e.id = any(${edges}::text[])
      union all
      select l.step + 1, e.id, e.zone_id, e.parent_edge_id, e.source_agent_id, e.target_agent_id,
             e.issuer_application_id, e.receiver_application_id, e.resource_id, e.scopes,
             e.constraints_json, e.status, e.expires_at, e.revoked_at, e.edge_version
      from lineage l
      join delegation_edges e on e.id = l.parent_edge_id and e.zone_id = l.zone_id
      where l.step < 11
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
           null as h, null as i, null as j, null as k, null as l, null as m, null as n
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
    union all
    select 'application', a.id, a.zone_id, a.xmin::text,
           case when a.xmin::text = q.known then null else json_build_object(
             'name', a.name, 'registration_method', a.registration_method,
             'client_secret_hash', a.client_secret_hash, 'traits', a.traits)::text end,
           null, null, null, null, null, null, null, null, null, null
    from unnest(${[...applications.keys()]}::text[],
                ${[...applications.values()]}::text[]) as q(id, known)
    join applications a on a.id = q.id
    join zones z on z.id = a.zone_id and z.archived_at is null
    where a.archived_at is null and (a.expires_at is null or a.expires_at > now())
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
    join agent_sessions s on s.id = m.id
    left join authority_records a on a.id = s.session_sid and a.zone_id = s.zone_id
    union all
    select 'edge', l.id, l.zone_id, l.parent_edge_id, l.source_agent_id, l.target_agent_id,
           l.issuer_application_id, l.receiver_application_id, l.resource_id,
           array_to_json(l.scopes)::text, l.constraints_json::text, l.status,
           (extract(epoch from l.expires_at) * 1000)::text, (l.revoked_at is not null)::text,
           l.edge_version::text
    from lineage l
    union all
    select 'resource', q.name, q.zone, d.version, d.definition,
           null, null, null, null, null, null, null, null, null, null
    from unnest(${named.map((one) => one.zone)}::text[], ${named.map((one) => one.name)}::text[],
                ${named.map((one) => one.known)}::text[]) as q(zone, name, known)
    cross join lateral (
      select v.version,
             case when v.version = q.known then null else json_build_object(
               'id', r.id, 'identifier', r.identifier, 'upstream_url', r.upstream_url,
               'scopes', r.scopes, 'operations', r.operations,
               'operation_enforcement', r.operation_enforcement,
               'credential_provider_id', r.credential_provider_id,
               'provider', case when p.id is null then null else json_build_object(
                 'id', p.id, 'provider_kind', p.provider_kind, 'config_json', p.config_json,
                 'envelope', encode(k.envelope, 'hex')) end)::text end as definition
      from resources r
      left join providers p
        on p.id = r.credential_provider_id and p.zone_id = r.zone_id and p.archived_at is null
      left join secret_store k
        on k.ref = 'zones/' || p.zone_id || '/providers/' || p.id || '/secretConfig'
      cross join lateral (
        select concat_ws('.', r.id, r.xmin::text, coalesce(p.xmin::text, '-'), coalesce(k.xmin::text, '-'))
          as version
      ) v
      where r.zone_id = q.zone and (r.identifier = q.name or r.id = q.name) and r.archived_at is null
      order by (r.identifier = q.name) desc
      limit 1
    ) d`
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

/** What a batch read, by id. Zones are compared when a request takes its part. */
interface Facts {
  readonly zones: ReadonlyMap<string, FactRow>
  readonly applications: ReadonlyMap<string, FactRow>
  readonly resources: ReadonlyMap<string, FactRow>
  readonly records: ReadonlyMap<string, FactRow>
  readonly sessions: ReadonlyMap<string, FactRow>
  readonly edges: ReadonlyMap<string, FactRow>
}

function gatherFacts(rows: readonly FactRow[]): Facts {
  const kinds = {
    zone: new Map<string, FactRow>(),
    application: new Map<string, FactRow>(),
    resource: new Map<string, FactRow>(),
    record: new Map<string, FactRow>(),
    session: new Map<string, FactRow>(),
    edge: new Map<string, FactRow>(),
  }
  for (const row of rows) {
    const key = row.kind === 'resource' ? `${row.b}\0${row.a}` : row.a
    kinds[row.kind as keyof typeof kinds].set(key, row)
  }
  return {
    zones: kinds.zone,
    applications: kinds.application,
    resources: kinds.resource,
    records: kinds.record,
    sessions: kinds.session,
    edges: kinds.edge,
  }
}

/** The part of a batch that one request asked for; rows of another zone are not there for it. */
function assemble(query: SnapshotQuery, facts: Facts): Snapshot {
  const { zoneId } = query
  const zone = facts.zones.get(zoneId) as FactRow
  const inZone = (row: FactRow | undefined): FactRow | null => (row?.b === zoneId ? row : null)
  const application = inZone(facts.applications.get(query.applicationId))
  const record = query.recordId === null ? null : inZone(facts.records.get(query.recordId))
  const lineage = query.edgeId === null ? [] : walkLineage(query.edgeId, zoneId, facts)
  const sessionIds = new Set(lineage.flatMap((edge) => [edge.source_session_id, edge.target_session_id]))
  if (query.sessionId !== null) sessionIds.add(query.sessionId)
  return {
    now: Number(zone.f),
    application_version: application?.c ?? null,
    application: application?.d ? (JSON.parse(application.d) as ApplicationRow) : null,
    record: record === null ? null : recordState(record),
    sessions: [...sessionIds].flatMap((id) => {
      const row = inZone(facts.sessions.get(id))
      return row === null ? [] : [sessionState(row)]
    }),
    lineage,
    epoch: Number(zone.g ?? 0),
    resources: query.resources.map(({ name }) => {
      const row = facts.resources.get(`${zoneId}\0${name}`)
      return {
        name,
        version: row?.c ?? null,
        definition: row?.d ? (JSON.parse(row.d) as ResourceRow) : null,
      }
    }),
    policy_set_id: zone.b,
    policy_set_version_id: zone.c,
    kid: zone.d,
    key_envelope: zone.e,
  }
}

const longestWalk = 11

function walkLineage(leafId: string, zoneId: string, facts: Facts): EdgeState[] {
  const lineage: EdgeState[] = []
  let id: string | null = leafId
  while (id !== null && lineage.length < longestWalk) {
    const row = facts.edges.get(id)
    if (row?.b !== zoneId) break
    lineage.push(edgeState(row, lineage.length + 1))
    id = row.c
  }
  return lineage
}

function recordState(row: FactRow): RecordState {
  return {
    id: row.a,
    session_type: row.c as RecordState['session_type'],
    subject_id: row.d,
    status: row.e ?? '',
    expires_at: Number(row.f),
  }
}

function sessionState(row: FactRow): SessionState {
  return {
    id: row.a,
    application_id: row.c ?? '',
    status: row.d ?? '',
    lifecycle: row.e as SessionState['lifecycle'],
    labels: JSON.parse(row.f ?? '[]') as string[],
    ttl_seconds: row.g === null ? null : Number(row.g),
    started_at: Number(row.h),
    heartbeat_deadline_at: row.i === null ? null : Number(row.i),
    parent_id: row.j,
    depth: Number(row.k),
    record: row.l === null ? null : subjectRecord(row.l, row.m ?? '', row.n),
  }
}

function subjectRecord(id: string, state: string, subjectId: string | null): RecordState {
  const [sessionType, status, expiresAt] = state.split(' ')
  return {
    id,
    session_type: sessionType as RecordState['session_type'],
    subject_id: subjectId,
    status: status ?? '',
    expires_at: Number(expiresAt),
  }
}

function edgeState(row: FactRow, step: number): EdgeState {
  return {
    step,
    id: row.a,
    parent_edge_id: row.c,
    source_session_id: row.d ?? '',
    target_session_id: row.e ?? '',
    issuer_application_id: row.f ?? '',
    receiver_application_id: row.g ?? '',
    resource_id: row.h,
    scopes: JSON.parse(row.i ?? '[]') as string[],
    constraints_json: JSON.parse(row.j ?? 'null') as unknown,
    status: row.k ?? '',
    expires_at: Number(row.l),
    revoked: row.m !== 'false',
    edge_version: Number(row.n),
  }
}
