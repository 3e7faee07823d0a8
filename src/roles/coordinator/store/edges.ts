/** Reads and inserts of `delegation_edges`. */
import type postgres from 'postgres'
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { type PageRequest, readPage } from './page.ts'

export interface EdgeRow {
  readonly id: string
  readonly zone_id: string
  readonly source_agent_id: string
  readonly target_agent_id: string
  readonly issuer_application_id: string
  readonly receiver_application_id: string
  readonly resource_id: string | null
  readonly parent_edge_id: string | null
  readonly scopes: readonly string[]
  readonly constraints_json: Readonly<Record<string, unknown>>
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
export async function liveInbound(db: Queryable, zoneId: string, sessionId: string): Promise<EdgeRow[]> {
  const rows = await db.sql<EdgeRow[]>`
    select ${edgeColumns(db.sql)}
    from delegation_edges
    where zone_id = ${zoneId}
      and target_agent_id = ${sessionId}
      and status = 'active'
      and expires_at > statement_timestamp()
    order by id`
  return [...rows]
}

export interface InboundEdge extends EdgeRow {
  readonly live: boolean
}

/** Any edge of the zone, locked until the transaction ends. */
export async function findEdgeForUpdate(
  tx: Tx,
  zoneId: string,
  id: string,
): Promise<{ readonly issuer_application_id: string; readonly live: boolean } | null> {
  const [row] = await tx.sql<{ issuer_application_id: string; live: boolean }[]>`
    select issuer_application_id, status = 'active' and expires_at > statement_timestamp() as live
    from delegation_edges
    where zone_id = ${zoneId}
      and id = ${id}
    for update`
  return row ?? null
}

/** A live edge to the session; `receiverApplicationId` narrows it to one application's. */
export async function findLiveInbound(
  db: Queryable,
  zoneId: string,
  sessionId: string,
  id: string,
  receiverApplicationId: string | null,
): Promise<Pick<EdgeRow, 'id' | 'expires_at'> | null> {
  const [row] = await db.sql<Pick<EdgeRow, 'id' | 'expires_at'>[]>`
    select id, expires_at
    from delegation_edges
    where zone_id = ${zoneId}
      and id = ${id}
      and target_agent_id = ${sessionId}
      and (${receiverApplicationId}::text is null or receiver_application_id = ${receiverApplicationId})
      and status = 'active'
      and expires_at > statement_timestamp()`
  return row ?? null
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

export function insertEdge(tx: Tx, edge: NewEdge): void {
  tx.send(tx.sql`
    insert into delegation_edges (
      id, zone_id, source_agent_id, target_agent_id, issuer_application_id, receiver_application_id,
      resource_id, parent_edge_id, scopes, constraints_json, expires_at
    )
    values (
      ${edge.id}, ${edge.zoneId}, ${edge.sourceSessionId}, ${edge.targetSessionId},
      ${edge.issuerApplicationId}, ${edge.receiverApplicationId}, ${edge.resourceId}, ${edge.parentEdgeId},
      ${edge.scopes as string[]}::text[], ${JSON.stringify(edge.constraints)}::text::jsonb, ${edge.expiresAt}
    )`)
}

export interface EdgeFilter {
  readonly status?: EdgeRow['status'] | undefined
  readonly sourceSessionId?: string | undefined
  readonly targetSessionId?: string | undefined
  /** Active and unexpired only. */
  readonly live?: boolean
}

/**
 * Edges of the zone, newest first; null for a cursor outside of what `applicationId` may see (null
 * sees all, anyone else the edges it issued or receives).
 */
export function listEdges(
  db: Queryable,
  zoneId: string,
  applicationId: string | null,
  filter: EdgeFilter,
  page: PageRequest,
): Promise<EdgeRow[] | null> {
  const { sql } = db
  const own =
    applicationId === null
      ? sql``
      : sql`and (issuer_application_id = ${applicationId} or receiver_application_id = ${applicationId})`
  const { status, sourceSessionId, targetSessionId } = filter
  return readPage(
    db,
    {
      table: 'delegation_edges',
      columns: edgeColumns(sql),
      visible: sql`zone_id = ${zoneId} ${own}`,
      wanted: sql`true
        ${status === undefined ? sql`` : sql`and status = ${status}`}
        ${sourceSessionId === undefined ? sql`` : sql`and source_agent_id = ${sourceSessionId}`}
        ${targetSessionId === undefined ? sql`` : sql`and target_agent_id = ${targetSessionId}`}
        ${filter.live ? sql`and status = 'active' and expires_at > statement_timestamp()` : sql``}`,
    },
    page,
  )
}
