/** Ends subtrees of sessions. The caller holds the spawn lock and the graph lock of the zone. */
import type postgres from 'postgres'
import type { Tx } from '../../../platform/db/port.ts'
import { granted } from './locks.ts'

export interface EndedSession {
  readonly id: string
  readonly parent_id: string | null
  readonly application_id: string
  readonly session_sid: string
  readonly labels: string[]
  readonly termination_reason: string
  /** True when nothing live stands on the authority record any more and it is not an application's own. */
  readonly revokes_record: boolean
}

export interface RevokedEdge {
  readonly id: string
  readonly source_agent_id: string
  readonly target_agent_id: string
  /** The authority record its target stands on. */
  readonly target_session_sid: string
  readonly issuer_application_id: string
}

export interface EndedTree {
  readonly sessions: readonly EndedSession[]
  readonly edges: readonly RevokedEdge[]
}

/** One session of several that a transaction ends, with what hangs on it. */
export interface Root {
  /** Its place among the changes of the transaction. */
  readonly n: number
  readonly zoneId: string
  readonly sessionId: string
  readonly reason: string
  /** Who asks: the session is only looked at unless they may end it. Absent = whoever it belongs to. */
  readonly by?: EndedBy
}

export interface EndedBy {
  /** Null = any application. */
  readonly applications: readonly string[] | null
  /** The generation of the lease they hold. A service session ends under no other one, unless by `applications: null`. */
  readonly leaseGeneration: number | null
}

/** Roots of one zone and every live descendant end; the caller holds its locks. See `endTrees`. */
export async function endSubtrees(
  tx: Tx,
  zoneId: string,
  roots: readonly string[],
  reason: string,
): Promise<EndedTree> {
  const trees = await endRoots(
    tx,
    roots.map((sessionId) => ({ n: 0, zoneId, sessionId, reason })),
    tx.sql``,
  )
  return {
    sessions: [...trees.values()].flatMap(({ sessions }) => sessions).sort(byId),
    edges: [...trees.values()].flatMap(({ edges }) => edges).sort(byId),
  }
}

const byId = (one: { readonly id: string }, other: { readonly id: string }): number =>
  one.id < other.id ? -1 : 1

/**
 * As `endSubtrees` for roots of many zones, where the change at their place holds its locks; by place. A root
 * below another one ends with that one, and two of the same with the first.
 */
export async function endTrees(tx: Tx, roots: readonly Root[]): Promise<ReadonlyMap<number, EndedTree>> {
  return roots.length === 0 ? new Map() : endRoots(tx, roots, tx.sql`and asked.n = ${granted(tx.sql)}`)
}

/**
 * Roots and every live descendant end in one statement (the roots of one change by their own reason, also
 * below one another): the sessions, the counts of parents that
 * survive (never below zero), and every active edge that starts or ends at one of them. What ended
 * before is not touched. Every row is found by its key or by the indexes (zone_id, parent_id, status) and
 * (zone_id, source|target, status), whatever the planner thinks of the number of roots.
 */
async function endRoots(
  tx: Tx,
  roots: readonly Root[],
  where: postgres.PendingQuery<postgres.Row[]>,
): Promise<ReadonlyMap<number, EndedTree>> {
  const asked = roots.map(({ n, zoneId, sessionId, reason, by }) => ({
    n,
    zone: zoneId,
    id: sessionId,
    reason,
    applications: by?.applications ?? null,
    generation: by?.leaseGeneration ?? null,
  }))
  const rows = await tx.sql<{ n: number; kind: 'session' | 'edge'; row: EndedSession & RevokedEdge }[]>`
    with recursive asked as materialized (
      select *
      from json_to_recordset(${JSON.stringify(asked)}::text::json)
        as root(n int, zone text, id text, reason text, applications text[], generation float8)
    ),
    root as materialized (
      select distinct on (asked.id) asked.n, asked.zone, asked.id, asked.reason
      from asked
      cross join lateral (
        select application_id, lifecycle, lease_generation
        from agent_sessions
        where id = asked.id
          and zone_id = asked.zone
          and status in ('active', 'suspended')
        offset 0
      ) as session
      where (
          asked.applications is null
          or (
            session.application_id = any(asked.applications)
            and (session.lifecycle <> 'service' or session.lease_generation = asked.generation)
          )
        )
        ${where}
      order by asked.id, asked.n
    ),
    subtree as (
      select zone, id, id as root
      from root
      union
      select subtree.zone, child.id, subtree.root
      from subtree
      cross join lateral (
        select id
        from agent_sessions
        where zone_id = subtree.zone
          and parent_id = subtree.id
          and status in ('active', 'suspended')
        offset 0
      ) as child
    ),
    ending as materialized (
      select root.n, subtree.zone, subtree.id, own.reason
      from subtree
      join root on root.id = subtree.root
      left join root as own on own.id = subtree.id and own.n = root.n
      where subtree.root not in (select id from subtree as below where below.id <> below.root)
    ),
    ended as (
      update agent_sessions as session
      set status = 'terminated',
          terminated_at = now(),
          updated_at = now(),
          termination_reason = coalesce(
            (select ending.reason from ending where ending.id = session.id),
            'parent_terminated'
          )
      where session.id = any(array(select id from ending))
      returning session.id, session.zone_id, session.parent_id, session.application_id, session.session_sid,
        session.labels, session.termination_reason
    ),
    released as (
      update agent_sessions as parent
      set child_count = greatest(
            0,
            parent.child_count - (select count(*)::int from ended where ended.parent_id = parent.id)
          ),
          updated_at = now()
      where parent.id = any(array(
          select parent_id
          from ended
          where parent_id is not null
            and parent_id not in (select id from ending)
        ))
    ),
    touched as materialized (
      select ending.n, edge.id
      from ending
      cross join lateral (
        select id
        from delegation_edges
        where zone_id = ending.zone
          and source_agent_id = ending.id
          and status = 'active'
        union all
        select id
        from delegation_edges
        where zone_id = ending.zone
          and target_agent_id = ending.id
          and status = 'active'
      ) as edge
    ),
    revoked as (
      update delegation_edges
      set status = 'revoked',
          revoked_at = now(),
          updated_at = now(),
          edge_version = edge_version + 1
      where id = any(array(select id from touched))
        and status = 'active'
      returning id, source_agent_id, target_agent_id, ${targetRecord(tx.sql)}, issuer_application_id
    )
    select
      (select n from ending where ending.id = ended.id) as n,
      'session' as kind,
      to_jsonb(ended) - 'zone_id' || jsonb_build_object(
        'revokes_record',
        (
          select record.session_type <> 'application' and not exists (
            select 1
            from agent_sessions as other
            where other.session_sid = ended.session_sid
              and other.zone_id = ended.zone_id
              and other.status in ('active', 'suspended')
              and other.id not in (select id from ending)
          )
          from authority_records as record
          where record.id = ended.session_sid
        )
      ) as row
    from ended
    union all
    select
      (select min(n) from touched where touched.id = revoked.id),
      'edge',
      to_jsonb(revoked)
    from revoked`
  const trees = new Map<number, { sessions: EndedSession[]; edges: RevokedEdge[] }>()
  for (const { n, kind, row } of rows) {
    const tree = trees.get(n) ?? { sessions: [], edges: [] }
    trees.set(n, tree)
    if (kind === 'session') tree.sessions.push(row)
    else tree.edges.push(row)
  }
  for (const { sessions, edges } of trees.values()) {
    sessions.sort(byId)
    edges.sort(byId)
  }
  return trees
}

const targetRecord = (sql: postgres.ISql) => sql`
  (select session_sid from agent_sessions where id = target_agent_id) as target_session_sid`

/** Revokes the edge and every active edge reachable from its target, at most ten steps deep. */
export async function revokeReachable(tx: Tx, zoneId: string, edgeId: string): Promise<RevokedEdge[]> {
  const rows = await tx.sql<RevokedEdge[]>`
    with recursive reached as (
      select id, target_agent_id, 1 as depth
      from delegation_edges
      where zone_id = ${zoneId}
        and id = ${edgeId}
        and status = 'active'
      union
      select edge.id, edge.target_agent_id, reached.depth + 1
      from reached
      join delegation_edges as edge
        on edge.zone_id = ${zoneId}
        and edge.source_agent_id = reached.target_agent_id
        and edge.status = 'active'
      where reached.depth < 10
    )
    update delegation_edges
    set status = 'revoked',
        revoked_at = now(),
        updated_at = now(),
        edge_version = edge_version + 1
    where zone_id = ${zoneId}
      and id in (select id from reached)
      and status = 'active'
    returning id, source_agent_id, target_agent_id, ${targetRecord(tx.sql)}, issuer_application_id`
  return [...rows]
}
