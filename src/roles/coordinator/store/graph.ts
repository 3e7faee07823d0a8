/** Walks over live edges of the delegation graph, at most ten steps deep. */
import type { Queryable } from '../../../platform/db/port.ts'

/** True when live edges lead from `from` to `to` in at most ten hops. */
export async function reaches(db: Queryable, zoneId: string, from: string, to: string): Promise<boolean> {
  const [row] = await db.sql<{ found: boolean }[]>`
    with recursive reached as (
      select target_agent_id as session_id, 1 as hops
      from delegation_edges
      where zone_id = ${zoneId}
        and source_agent_id = ${from}
        and status = 'active'
        and expires_at > statement_timestamp()
      union
      select edge.target_agent_id, reached.hops + 1
      from reached
      join delegation_edges as edge
        on edge.zone_id = ${zoneId}
        and edge.source_agent_id = reached.session_id
        and edge.status = 'active'
        and edge.expires_at > statement_timestamp()
      where reached.hops < 10
    )
    select exists (select 1 from reached where session_id = ${to}) as found`
  return row?.found ?? false
}

export interface ReachedEdge {
  readonly id: string
  readonly source_session_id: string
  readonly target_session_id: string
  readonly depth: number
  /** Authority record the target session stands on. */
  readonly target_record_id: string
}

/** The live edge and what follows from it, nearest first, each edge once; empty when it is not live. */
export async function traverse(db: Queryable, zoneId: string, edgeId: string): Promise<ReachedEdge[]> {
  const rows = await db.sql<ReachedEdge[]>`
    with recursive reached as (
      select id, source_agent_id, target_agent_id, 1 as depth
      from delegation_edges
      where zone_id = ${zoneId}
        and id = ${edgeId}
        and status = 'active'
        and expires_at > statement_timestamp()
      union
      select edge.id, edge.source_agent_id, edge.target_agent_id, reached.depth + 1
      from reached
      join delegation_edges as edge
        on edge.zone_id = ${zoneId}
        and edge.source_agent_id = reached.target_agent_id
        and edge.status = 'active'
        and edge.expires_at > statement_timestamp()
      where reached.depth < 10
    ),
    nearest as (
      select id, source_agent_id, target_agent_id, min(depth) as depth
      from reached
      group by id, source_agent_id, target_agent_id
    )
    select
      nearest.id,
      nearest.source_agent_id as source_session_id,
      nearest.target_agent_id as target_session_id,
      nearest.depth,
      target.session_sid as target_record_id
    from nearest
    join agent_sessions as target
      on target.zone_id = ${zoneId}
      and target.id = nearest.target_agent_id
    order by nearest.depth, nearest.id`
  return [...rows]
}
