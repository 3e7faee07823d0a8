/** From the facts of a batch to the snapshot of each of its requests. */
import type {
  ApplicationRow,
  EdgeState,
  RecordState,
  ResourceRow,
  SessionState,
  Snapshot,
  SnapshotQuery,
} from './snapshot.ts'
import type { FactRow } from './snapshot-facts.ts'

/** What a batch read, by id. Zones are compared when a request takes its part. */
export interface Facts {
  readonly zones: ReadonlyMap<string, FactRow>
  readonly applications: ReadonlyMap<string, FactRow>
  readonly resources: ReadonlyMap<string, FactRow>
  readonly records: ReadonlyMap<string, FactRow>
  readonly sessions: ReadonlyMap<string, FactRow>
  readonly edges: ReadonlyMap<string, FactRow>
}

export function gatherFacts(rows: readonly FactRow[]): Facts {
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
export function assemble(query: SnapshotQuery, facts: Facts): Snapshot {
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
    readAt: performance.now(),
    application_version: application?.c ?? null,
    application: application?.d ? (JSON.parse(application.d) as ApplicationRow) : null,
    application_expires_at: application?.e ? Number(application.e) : null,
    record: record === null ? null : recordState(record),
    sessions: [...sessionIds].flatMap((id) => {
      const row = inZone(facts.sessions.get(id))
      return row === null ? [] : [sessionState(row)]
    }),
    lineage,
    epoch: Number(zone.g ?? 0),
    definitions: zone.h,
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
  const [edgeVersion, rowVersion = ''] = (row.n ?? '').split(' ')
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
    edge_version: Number(edgeVersion),
    row_version: rowVersion,
  }
}
