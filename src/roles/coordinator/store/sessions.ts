/** Reads and single-row writes of `agent_sessions`; the cascade has its own file. */
import type postgres from 'postgres'
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { granted } from './locks.ts'
import { type PageRequest, readPage } from './page.ts'

export interface SessionRow {
  readonly id: string
  readonly zone_id: string
  readonly application_id: string
  readonly session_sid: string
  readonly parent_id: string | null
  readonly status: 'active' | 'suspended' | 'terminated' | 'expired'
  readonly depth: number
  readonly labels: string[]
  readonly lifecycle: 'task' | 'service'
  readonly ttl_seconds: number | null
  readonly max_children: number
  readonly child_count: number
  readonly spawned_at: Date
  readonly suspended_at: Date | null
  readonly terminated_at: Date | null
  readonly termination_reason: string | null
  readonly last_active_at: Date
  readonly last_heartbeat_at: Date | null
  readonly heartbeat_deadline_at: Date | null
  readonly lease_generation: string
  readonly metadata_json: Record<string, unknown> | null
}

export const sessionColumns = (sql: postgres.ISql) => sql`
  id, zone_id, application_id, session_sid, parent_id, status, depth, labels, lifecycle, ttl_seconds,
  max_children, child_count, spawned_at, suspended_at, terminated_at, termination_reason,
  last_active_at, last_heartbeat_at, heartbeat_deadline_at, lease_generation, metadata_json`

/** A session that holds a capacity slot: not ended, and neither past its TTL nor its lease (coordinator §4.4). */
export const holdsSlot = (sql: postgres.ISql) => sql`
  status in ('active', 'suspended')
  and case lifecycle
    when 'task' then spawned_at + make_interval(secs => ttl_seconds) > statement_timestamp()
    else status = 'suspended' or heartbeat_deadline_at > statement_timestamp()
  end`

export async function findSession(db: Queryable, zoneId: string, id: string): Promise<SessionRow | null> {
  const [row] = await db.sql<SessionRow[]>`
    select ${sessionColumns(db.sql)}
    from agent_sessions
    where zone_id = ${zoneId}
      and id = ${id}`
  return row ?? null
}

/** As `findSession`, locked against every other writer until the transaction ends. */
export async function findSessionForUpdate(tx: Tx, zoneId: string, id: string): Promise<SessionRow | null> {
  const [row] = await tx.sql<SessionRow[]>`
    select ${sessionColumns(tx.sql)}
    from agent_sessions
    where zone_id = ${zoneId}
      and id = ${id}
    for update`
  return row ?? null
}

/** What decides whether somebody may end a session. */
export type EndFacts = Pick<
  SessionRow,
  'id' | 'zone_id' | 'application_id' | 'lifecycle' | 'lease_generation'
>

/** The sessions of changes that hold their locks, locked as by `findSessionForUpdate`; by id. */
export async function findEndingForUpdate(
  tx: Tx,
  asked: readonly { readonly n: number; readonly sessionId: string }[],
): Promise<ReadonlyMap<string, EndFacts>> {
  if (asked.length === 0) return new Map()
  const rows = await tx.sql<EndFacts[]>`
    select id, zone_id, application_id, lifecycle, lease_generation
    from agent_sessions
    where id = any(array(
        select session
        from json_to_recordset(${JSON.stringify(asked.map(({ n, sessionId: session }) => ({ n, session })))}::text::json)
          as asked(n int, session text)
        where n = ${granted(tx.sql)}
      ))
    for update`
  return new Map(rows.map((row) => [row.id, row]))
}

/** A sign of life that renews nothing. */
export async function touchSession(tx: Tx, zoneId: string, id: string): Promise<void> {
  await tx.sql`
    update agent_sessions
    set last_active_at = statement_timestamp(),
        updated_at = statement_timestamp()
    where zone_id = ${zoneId}
      and id = ${id}
      and status in ('active', 'suspended')`
}

export interface SessionFilter {
  /** `expired` finds what a TTL ended, under its own status or v1's. */
  readonly status?: SessionRow['status'] | undefined
  readonly lifecycle?: SessionRow['lifecycle'] | undefined
  readonly applicationId?: string | undefined
  readonly label?: string | undefined
  readonly parentId?: string | undefined
}

/** Bounded by the cursor itself: whichever table leads, the scan begins there. */
const labelled = ({ sql }: Queryable, zoneId: string, label: string, { cursor }: PageRequest) => sql`
  select session_id
  from agent_session_labels
  where zone_id = ${zoneId}
    and label = ${label}
    and ${cursor === null ? sql`true` : sql`session_id < ${cursor}`}`

/** Sessions of the zone, newest first; null for an unknown cursor. */
export function listSessions(
  db: Queryable,
  zoneId: string,
  filter: SessionFilter,
  page: PageRequest,
): Promise<SessionRow[] | null> {
  const { sql } = db
  const ended = sql`(status = 'expired' or (status = 'terminated' and termination_reason = 'ttl'))`
  const status = filter.status === 'expired' ? ended : sql`status = ${filter.status ?? null}`
  return readPage(
    db,
    {
      table: 'agent_sessions',
      columns: sessionColumns(sql),
      visible: sql`zone_id = ${zoneId}`,
      wanted: sql`true
        ${filter.status === undefined ? sql`` : sql`and ${status}`}
        ${filter.lifecycle === undefined ? sql`` : sql`and lifecycle = ${filter.lifecycle}`}
        ${filter.applicationId === undefined ? sql`` : sql`and application_id = ${filter.applicationId}`}
        ${filter.label === undefined ? sql`` : sql`and id in (${labelled(db, zoneId, filter.label, page)})`}
        ${filter.parentId === undefined ? sql`` : sql`and parent_id = ${filter.parentId}`}`,
    },
    page,
  )
}

export interface NewSession {
  readonly id: string
  readonly zoneId: string
  readonly applicationId: string
  readonly authorityRecordId: string
  readonly parentId: string | null
  readonly depth: number
  readonly labels: readonly string[]
  readonly lifecycle: 'task' | 'service'
  readonly ttlSeconds: number | null
  readonly leaseSeconds: number
  readonly maxChildren: number
  readonly metadata: Readonly<Record<string, unknown>>
}

/** Inserts the sessions with their labels and counts them at their parents, in one statement. Every time in it is the transaction's `now()`. */
export function insertSessions(tx: Tx, sessions: readonly NewSession[]): void {
  if (sessions.length === 0) return
  const rows = sessions.map((session) => ({
    id: session.id,
    zone: session.zoneId,
    application: session.applicationId,
    record: session.authorityRecordId,
    parent: session.parentId,
    depth: session.depth,
    labels: session.labels,
    lifecycle: session.lifecycle,
    ttl: session.ttlSeconds,
    lease: session.leaseSeconds,
    children: session.maxChildren,
    metadata: session.metadata,
  }))
  const anyLabel = sessions.some(({ labels }) => labels.length > 0)
  const labelled = anyLabel ? tx.sql`, labelled as (${insertLabels(tx)})` : tx.sql``
  tx.send(tx.sql`
    with given as materialized (
      select *
      from json_to_recordset(${JSON.stringify(rows)}::text::json)
        as session(id text, zone text, application text, record text, parent text, depth int, labels text[],
          lifecycle text, ttl int, lease float8, children int, metadata jsonb)
    ),
    counted as (
      update agent_sessions as parent
      set child_count = child_count + (select count(*)::int from given where given.parent = parent.id),
          updated_at = now()
      where id = any(array(select distinct given.parent from given where given.parent is not null))
    )${labelled}
    insert into agent_sessions (
      id, zone_id, application_id, session_sid, parent_id, depth, capabilities, labels, lifecycle, ttl_seconds,
      max_children, last_heartbeat_at, heartbeat_deadline_at, lease_generation, metadata_json
    )
    select
      id, zone, application, record, parent, depth, labels, labels, lifecycle, ttl, children,
      case when lifecycle = 'service' then now() end,
      case when lifecycle = 'service' then now() + make_interval(secs => lease) end,
      case when lifecycle = 'service' then 1 else 0 end,
      metadata
    from given`)
}

const insertLabels = ({ sql }: Tx) => sql`
  insert into agent_session_labels (zone_id, label, session_id, spawned_at)
  select given.zone, label, given.id, now()
  from given
  cross join lateral unnest(given.labels) as named(label)
  on conflict do nothing`

/** Both ends of a delegation, share-locked inside a transaction; null for one that is not active and live. */
export async function findEndpoints(
  db: Queryable,
  zoneId: string,
  ends: { readonly sourceSessionId: string; readonly targetSessionId: string },
): Promise<{ source: SessionRow | null; target: SessionRow | null }> {
  const rows = await db.sql<SessionRow[]>`
    select ${sessionColumns(db.sql)}
    from agent_sessions
    where zone_id = ${zoneId}
      and id in (${ends.sourceSessionId}, ${ends.targetSessionId})
      and status = 'active'
      and ${holdsSlot(db.sql)}
    order by id
    for share`
  const find = (id: string) => rows.find((row) => row.id === id) ?? null
  return { source: find(ends.sourceSessionId), target: find(ends.targetSessionId) }
}
