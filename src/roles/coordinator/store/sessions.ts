/** Reads and single-row writes of `agent_sessions`; the cascade has its own file. */
import type postgres from 'postgres'
import type { Queryable, Tx } from '../../../platform/db/port.ts'
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

/** True while the session holds a capacity slot. */
export async function isSessionLive(db: Queryable, zoneId: string, id: string): Promise<boolean> {
  const [row] = await db.sql<{ live: boolean }[]>`
    select true as live
    from agent_sessions
    where zone_id = ${zoneId}
      and id = ${id}
      and ${holdsSlot(db.sql)}`
  return row !== undefined
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

/** Inserts the session with its labels and counts it at its parent, in one statement. Every time in it is the transaction's `now()`. */
export function insertSession(tx: Tx, session: NewSession): void {
  const service = session.lifecycle === 'service'
  tx.send(tx.sql`
    with counted as (
      update agent_sessions
      set child_count = child_count + 1,
          updated_at = now()
      where zone_id = ${session.zoneId}
        and id = ${session.parentId}
    )${session.labels.length === 0 ? tx.sql`` : tx.sql`, labelled as (${insertLabels(tx, session)})`}
    insert into agent_sessions (
      id, zone_id, application_id, session_sid, parent_id, depth, capabilities, labels, lifecycle, ttl_seconds,
      max_children, last_heartbeat_at, heartbeat_deadline_at, lease_generation, metadata_json
    )
    values (
      ${session.id}, ${session.zoneId}, ${session.applicationId}, ${session.authorityRecordId},
      ${session.parentId}, ${session.depth}, ${session.labels as string[]}::text[],
      ${session.labels as string[]}::text[], ${session.lifecycle}, ${session.ttlSeconds},
      ${session.maxChildren},
      case when ${service}::boolean then now() end,
      case when ${service}::boolean then now() + make_interval(secs => ${session.leaseSeconds}) end,
      ${service ? 1 : 0}, ${JSON.stringify(session.metadata)}::text::jsonb
    )`)
}

const insertLabels = ({ sql }: Tx, { zoneId, id, labels }: NewSession) => sql`
  insert into agent_session_labels (zone_id, label, session_id, spawned_at)
  select ${zoneId}, label, ${id}, now()
  from unnest(${labels as string[]}::text[]) as named(label)
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
