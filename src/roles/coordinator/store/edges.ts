/** Reads and inserts of `delegation_edges`. */
import type postgres from 'postgres'
import type { Tx } from '../../../platform/db/port.ts'

export interface EdgeRow {
  readonly id: string
  readonly zone_id: string
  readonly source_agent_id: string
  readonly target_agent_id: string
  readonly issuer_application_id: string
  readonly receiver_application_id: string
  readonly resource_id: string | null
  readonly parent_edge_id: string | null
  readonly scopes: string[]
  readonly constraints_json: Record<string, unknown>
  readonly status: 'active' | 'revoked' | 'expired'
  readonly expires_at: Date
  readonly edge_version: number
  readonly revoked_at: Date | null
  readonly created_at: Date
}

export const edgeColumns = (sql: postgres.ISql) => sql`
  id, zone_id, source_agent_id, target_agent_id, issuer_application_id, receiver_application_id, resource_id,
  parent_edge_id, scopes, constraints_json, status, expires_at, edge_version, revoked_at, created_at`

/** Active, unexpired edges that end at `sessionId`; index (zone_id, target_agent_id, status). */
export async function liveInbound(tx: Tx, zoneId: string, sessionId: string): Promise<EdgeRow[]> {
  const rows = await tx.sql<EdgeRow[]>`
    select ${edgeColumns(tx.sql)}
    from delegation_edges
    where zone_id = ${zoneId}
      and target_agent_id = ${sessionId}
      and status = 'active'
      and expires_at > statement_timestamp()
    order by id`
  return [...rows]
}

/** Edges to `sessionId` for `receiverApplicationId`, live or not: the candidates of inheritance (coordinator §4.5). */
export async function inboundFor(
  tx: Tx,
  zoneId: string,
  sessionId: string,
  receiverApplicationId: string,
): Promise<(EdgeRow & { readonly live: boolean })[]> {
  const rows = await tx.sql<(EdgeRow & { live: boolean })[]>`
    select ${edgeColumns(tx.sql)}, status = 'active' and expires_at > statement_timestamp() as live
    from delegation_edges
    where zone_id = ${zoneId}
      and target_agent_id = ${sessionId}
      and receiver_application_id = ${receiverApplicationId}
    order by id`
  return [...rows]
}

/** True while the edge is active, unexpired and still issued by that application. */
export async function isEdgeLive(
  tx: Tx,
  zoneId: string,
  id: string,
  issuerApplicationId: string,
): Promise<boolean> {
  const [row] = await tx.sql<{ live: boolean }[]>`
    select true as live
    from delegation_edges
    where zone_id = ${zoneId}
      and id = ${id}
      and issuer_application_id = ${issuerApplicationId}
      and status = 'active'
      and expires_at > statement_timestamp()`
  return row !== undefined
}

/** True when live edges lead from `from` to `to` in at most ten hops. */
export async function reaches(tx: Tx, zoneId: string, from: string, to: string): Promise<boolean> {
  const [row] = await tx.sql<{ found: boolean }[]>`
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

export interface NewEdge {
  readonly id: string
  readonly zoneId: string
  readonly sourceSessionId: string
  readonly targetSessionId: string
  readonly issuerApplicationId: string
  readonly receiverApplicationId: string
  readonly resourceId: string | null
  readonly parentEdgeId: string | null
  readonly scopes: readonly string[]
  readonly constraints: Readonly<Record<string, unknown>>
  readonly expiresAt: Date
}

export async function insertEdge(tx: Tx, edge: NewEdge): Promise<EdgeRow> {
  const [row] = await tx.sql<EdgeRow[]>`
    insert into delegation_edges (
      id, zone_id, source_agent_id, target_agent_id, issuer_application_id, receiver_application_id,
      resource_id, parent_edge_id, scopes, constraints_json, expires_at
    )
    values (
      ${edge.id}, ${edge.zoneId}, ${edge.sourceSessionId}, ${edge.targetSessionId},
      ${edge.issuerApplicationId}, ${edge.receiverApplicationId}, ${edge.resourceId}, ${edge.parentEdgeId},
      ${edge.scopes as string[]}::text[], ${JSON.stringify(edge.constraints)}::text::jsonb, ${edge.expiresAt}
    )
    returning ${edgeColumns(tx.sql)}`
  if (row === undefined) throw new Error('an edge insert returned no row')
  return row
}
