/** Suspends and resumes subtrees of sessions. The caller holds the zone's spawn lock. */
import type postgres from 'postgres'
import type { Tx } from '../../../platform/db/port.ts'

export interface ChangedSession {
  readonly id: string
  readonly parent_id: string | null
  readonly application_id: string
  readonly session_sid: string
  readonly labels: string[]
  /** When it happened, with microseconds: a second suspension is another event. */
  readonly occurred: string
}

/** Sessions of the subtree are those that reach a root through sessions of status `through` only. */
const subtree = (
  sql: postgres.ISql,
  zoneId: string,
  roots: readonly string[],
  through: 'active' | 'suspended',
) => sql`
  recursive subtree as (
    select id
    from agent_sessions
    where zone_id = ${zoneId}
      and id = any(${roots as string[]}::text[])
      and status = ${through}
    union
    select child.id
    from subtree
    join agent_sessions as child
      on child.zone_id = ${zoneId}
      and child.parent_id = subtree.id
      and child.status = ${through}
  )`

// The statement's own instant: two transactions that waited for one lock can have begun in the same microsecond.
const changed = (sql: postgres.ISql) => sql`
  session.id, session.parent_id, session.application_id, session.session_sid, session.labels,
  to_char(session.updated_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as occurred`

/** Empty when no root was active. */
export async function suspendSubtrees(
  tx: Tx,
  zoneId: string,
  roots: readonly string[],
): Promise<ChangedSession[]> {
  const rows = await tx.sql<ChangedSession[]>`
    with ${subtree(tx.sql, zoneId, roots, 'active')}
    update agent_sessions as session
    set status = 'suspended',
        suspended_at = statement_timestamp(),
        updated_at = statement_timestamp()
    from subtree
    where session.zone_id = ${zoneId}
      and session.id = subtree.id
    returning ${changed(tx.sql)}`
  return [...rows]
}

/** Empty when no root was suspended. Service sessions get a fresh deadline; their lease generation stays. */
export async function resumeSubtrees(
  tx: Tx,
  zoneId: string,
  roots: readonly string[],
  leaseSeconds: number,
): Promise<ChangedSession[]> {
  const rows = await tx.sql<ChangedSession[]>`
    with ${subtree(tx.sql, zoneId, roots, 'suspended')}
    update agent_sessions as session
    set status = 'active',
        suspended_at = null,
        heartbeat_deadline_at = case
          when session.lifecycle = 'service' then statement_timestamp() + make_interval(secs => ${leaseSeconds})
        end,
        updated_at = statement_timestamp()
    from subtree
    where session.zone_id = ${zoneId}
      and session.id = subtree.id
    returning ${changed(tx.sql)}`
  return [...rows]
}

/** Active services of the zone whose lease is over; `only` narrows it to one session. Oldest deadline first. */
export async function lapsedServices(
  tx: Tx,
  zoneId: string,
  limit: number,
  only: string | null,
): Promise<string[]> {
  const rows = await tx.sql<{ id: string }[]>`
    select id
    from agent_sessions
    where zone_id = ${zoneId}
      and status = 'active'
      and lifecycle = 'service'
      and heartbeat_deadline_at < statement_timestamp()
      and (${only}::text is null or id = ${only})
    order by heartbeat_deadline_at
    limit ${limit}`
  return rows.map((row) => row.id)
}
