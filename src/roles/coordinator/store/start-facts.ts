/** What starts are decided on. Exact only under the spawn lock of their zones. */
import type { Tx } from '../../../platform/db/port.ts'
import { edgeColumns, type InboundEdge } from './edges.ts'
import { granted } from './locks.ts'
import type { AuthorityRecord } from './references.ts'
import { holdsSlot, type SessionRow, sessionColumns } from './sessions.ts'

/** One start of a transaction, by its place among the changes. */
export interface AskedStart {
  readonly n: number
  readonly zone: string
  readonly application: string
  readonly record: string
}

export interface StartFacts {
  readonly n: number
  /** The transaction's `now()`: every time the new rows will carry. */
  readonly at: Date
  /** Null unless the application is in the zone, not archived and not past its expiry. */
  readonly registration: 'managed' | 'dcr' | null
  /** Null unless the authority record is active and unexpired. */
  readonly record: AuthorityRecord | null
  readonly liveInZone: number
  readonly liveOfApplication: number
}

/**
 * The facts of those starts that hold their locks, by place. Definitions are found by key and compared with
 * the zone afterwards; sessions are counted once for each zone, index (zone_id, status).
 */
export async function readStartFacts(
  tx: Tx,
  asked: readonly AskedStart[],
): Promise<ReadonlyMap<number, StartFacts>> {
  if (asked.length === 0) return new Map()
  const rows = await tx.sql<StartFacts[]>`
    with asked as materialized (
      select *
      from json_to_recordset(${JSON.stringify(asked)}::text::json)
        as start(n int, zone text, application text, record text)
      where n = ${granted(tx.sql)}
    ),
    live as materialized (
      select zones.zone, counted.application_id, counted.sessions
      from (select distinct zone from asked) as zones
      cross join lateral (
        select application_id, count(*)::int as sessions
        from agent_sessions
        where zone_id = zones.zone
          and ${holdsSlot(tx.sql)}
        group by application_id
      ) as counted
    )
    select
      n,
      now() as at,
      (
        select case when zone_id = asked.zone then registration_method end
        from applications
        where id = asked.application
          and archived_at is null
          and (expires_at is null or expires_at > statement_timestamp())
      ) as registration,
      (
        select
          case
            when zone_id = asked.zone
              then jsonb_build_object('session_type', session_type, 'subject_id', subject_id)
          end
        from authority_records
        where id = asked.record
          and status = 'active'
          and expires_at > statement_timestamp()
      ) as record,
      (select coalesce(sum(sessions), 0)::int from live where live.zone = asked.zone) as "liveInZone",
      (
        select coalesce(sum(sessions), 0)::int
        from live
        where live.zone = asked.zone
          and live.application_id = asked.application
      ) as "liveOfApplication"
    from asked`
  return new Map(rows.map((row) => [row.n, row]))
}

export interface ParentRow extends SessionRow {
  readonly registration_method: 'managed' | 'dcr'
}

/** One start under a parent. */
export interface AskedChild {
  readonly n: number
  readonly zone: string
  readonly parent: string
  readonly application: string
  readonly inherits: boolean
}

/** The parents with how their applications were registered, locked until the transaction ends; by id. */
export async function findParentsForUpdate(
  tx: Tx,
  asked: readonly AskedChild[],
): Promise<ReadonlyMap<string, ParentRow>> {
  if (asked.length === 0) return new Map()
  const rows = await tx.sql<ParentRow[]>`
    select
      ${sessionColumns(tx.sql)},
      (
        select registration_method
        from applications
        where applications.zone_id = agent_sessions.zone_id
          and applications.id = agent_sessions.application_id
      ) as registration_method
    from agent_sessions
    where id = any(array(
        select parent
        from json_to_recordset(${JSON.stringify(asked)}::text::json) as child(n int, zone text, parent text)
        where n = ${granted(tx.sql)}
      ))
    for update`
  return new Map(rows.map((row) => [row.id, row]))
}

/** What may be inherited of a parent (coordinator §4.5). */
export interface Inheritable {
  readonly n: number
  /** Edges to the parent for the child's application, live or not. */
  readonly inbound: readonly InboundEdge[]
  /** The zone's graph epoch; null for a zone that never had a delegation. */
  readonly epoch: number | null
}

/** By place; index (zone_id, target_agent_id, status). */
export async function readInheritable(
  tx: Tx,
  asked: readonly AskedChild[],
): Promise<ReadonlyMap<number, Inheritable>> {
  const heirs = asked.filter(({ inherits }) => inherits)
  if (heirs.length === 0) return new Map()
  const given = JSON.stringify(heirs)
  const [edges, epochs] = await Promise.all([
    tx.sql<(InboundEdge & { readonly n: number })[]>`
      select child.n, edge.*
      from json_to_recordset(${given}::text::json)
        as child(n int, zone text, parent text, application text)
      cross join lateral (
        select ${edgeColumns(tx.sql)}, status = 'active' and expires_at > statement_timestamp() as live
        from delegation_edges
        where zone_id = child.zone
          and target_agent_id = child.parent
          and receiver_application_id = child.application
        offset 0
      ) as edge
      where child.n = ${granted(tx.sql)}
      order by child.n, edge.id`,
    tx.sql<{ zone_id: string; epoch: string }[]>`
      select zone_id, epoch::text
      from delegation_graph_epochs
      where zone_id = any(array(
          select zone from json_to_recordset(${given}::text::json) as child(zone text)
        ))`,
  ])
  const epochOf = new Map(epochs.map(({ zone_id, epoch }) => [zone_id, Number(epoch)]))
  return new Map(
    heirs.map(({ n, zone }) => [
      n,
      { n, inbound: edges.filter((edge) => edge.n === n), epoch: epochOf.get(zone) ?? null },
    ]),
  )
}
