/**
 * What the background workers look for (coordinator §11). Times are the database's. What is deleted is named by an
 * array: plans are made without values, and what a limit nobody knows lets through would be joined with the whole table.
 */
import type { Queryable, Tx } from '../../../platform/db/port.ts'

/** Task sessions past their TTL, suspended ones included; index (zone_id, status). */
const overdue = (db: Queryable) => db.sql`
  lifecycle = 'task'
  and status in ('active', 'suspended')
  and spawned_at + make_interval(secs => ttl_seconds) < statement_timestamp()`

/** Zones with task sessions past their TTL, in lock order. */
export async function zonesWithOverdueTasks(db: Queryable): Promise<string[]> {
  const rows = await db.sql<{ zone_id: string }[]>`
    select distinct zone_id
    from agent_sessions
    where ${overdue(db)}
    order by zone_id`
  return rows.map((row) => row.zone_id)
}

export async function overdueTasks(tx: Tx, zoneId: string, limit: number): Promise<string[]> {
  const rows = await tx.sql<{ id: string }[]>`
    select id
    from agent_sessions
    where zone_id = ${zoneId}
      and ${overdue(tx)}
    order by id
    limit ${limit}`
  return rows.map((row) => row.id)
}

/** Zones with services past their lease, in lock order; partial index on the deadline. */
export async function zonesWithLapsedServices(db: Queryable): Promise<string[]> {
  const rows = await db.sql<{ zone_id: string }[]>`
    select distinct zone_id
    from agent_sessions
    where status = 'active'
      and lifecycle = 'service'
      and heartbeat_deadline_at < statement_timestamp()
    order by zone_id`
  return rows.map((row) => row.zone_id)
}

export interface OverdueEdges {
  readonly zoneId: string
  readonly ids: readonly string[]
}

/** Active edges past their expiry by zone, zones in lock order; at most `limit` edges, oldest first. */
export async function overdueEdges(db: Queryable, limit: number): Promise<OverdueEdges[]> {
  const rows = await db.sql<OverdueEdges[]>`
    select zone_id as "zoneId", array_agg(id) as ids
    from (
      select zone_id, id
      from delegation_edges
      where status = 'active'
        and expires_at < statement_timestamp()
      order by expires_at
      limit ${limit}
    ) as due
    group by zone_id
    order by zone_id`
  return [...rows]
}

/** Marks the edges that are still active and past their expiry. Only under the zone's graph lock. */
export async function expireEdges(tx: Tx, due: OverdueEdges): Promise<{ readonly id: string }[]> {
  const rows = await tx.sql<{ id: string }[]>`
    update delegation_edges
    set status = 'expired',
        edge_version = edge_version + 1,
        updated_at = now()
    where zone_id = ${due.zoneId}
      and id = any(${due.ids as string[]}::text[])
      and status = 'active'
      and expires_at < statement_timestamp()
    returning id`
  return [...rows]
}

/** Ended edges past their retention that no live edge was built on. */
export async function deleteOldEdges(tx: Tx, days: number, limit: number): Promise<number> {
  const deleted = await tx.sql`
    delete from delegation_edges
    where id = any(array(
      select id
      from delegation_edges as edge
      where status in ('revoked', 'expired')
        and coalesce(revoked_at, expires_at) < now() - make_interval(days => ${days})
        and not exists (
          select 1
          from delegation_edges as child
          where child.zone_id = edge.zone_id
            and child.parent_edge_id = edge.id
            and child.status = 'active'
        )
      order by coalesce(revoked_at, expires_at)
      limit ${limit}
      for update skip locked
    ))`
  return deleted.count
}

/** Ended sessions past their retention without children. Invocations and services let go of them by themselves. */
export async function deleteOldSessions(tx: Tx, days: number, limit: number): Promise<number> {
  const deleted = await tx.sql`
    with gone as (
      select zone_id, id, labels
      from agent_sessions as session
      where status in ('terminated', 'expired')
        and terminated_at < now() - make_interval(days => ${days})
        and not exists (
          select 1
          from agent_sessions as child
          where child.zone_id = session.zone_id
            and child.parent_id = session.id
        )
      order by terminated_at, id
      limit ${limit}
      for update skip locked
    ), unlabelled as (
      delete from agent_session_labels as named
      using gone
      cross join unnest(gone.labels) as old(label)
      where named.zone_id = gone.zone_id
        and named.label = old.label
        and named.session_id = gone.id
    )
    delete from agent_sessions
    where id = any(array(select id from gone))`
  return deleted.count
}

/** What nobody ever started is still to be done, and stays. */
export async function deleteOldInvocations(tx: Tx, days: number, limit: number): Promise<number> {
  const deleted = await tx.sql`
    delete from agent_invocations
    where id = any(array(
      select id
      from agent_invocations
      where status not in ('pending', 'running', 'cancel_requested')
        and updated_at < now() - make_interval(days => ${days})
      order by updated_at
      limit ${limit}
      for update skip locked
    ))`
  return deleted.count
}

export async function deleteExpiredReceipts(tx: Tx, limit: number): Promise<number> {
  const deleted = await tx.sql`
    delete from coordinator_idempotency_receipts
    where id = any(array(
      select id
      from coordinator_idempotency_receipts
      where expires_at < now()
      order by expires_at, id
      limit ${limit}
      for update skip locked
    ))`
  return deleted.count
}
