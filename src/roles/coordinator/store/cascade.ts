/** Ends subtrees of sessions. The caller holds the spawn lock and the graph lock of the zone. */
import type { Tx } from '../../../platform/db/port.ts'

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
  readonly issuer_application_id: string
}

export interface EndedTree {
  readonly sessions: readonly EndedSession[]
  readonly edges: readonly RevokedEdge[]
}

/**
 * Roots and every live descendant end in one statement: the sessions, the counts of parents that
 * survive (never below zero), and every active edge that starts or ends at one of them. What ended
 * before is not touched. Indexes (zone_id, parent_id, status) and (zone_id, source|target, status).
 */
export async function endSubtrees(
  tx: Tx,
  zoneId: string,
  roots: readonly string[],
  reason: string,
): Promise<EndedTree> {
  const [tree] = await tx.sql<{ sessions: EndedSession[]; edges: RevokedEdge[] }[]>`
    with recursive subtree as (
      select id, true as is_root
      from agent_sessions
      where zone_id = ${zoneId}
        and id = any(${roots as string[]}::text[])
        and status in ('active', 'suspended')
      union
      select child.id, false
      from subtree
      join agent_sessions as child
        on child.zone_id = ${zoneId}
        and child.parent_id = subtree.id
        and child.status in ('active', 'suspended')
    ),
    ending as (
      select id, bool_or(is_root) as is_root
      from subtree
      group by id
    ),
    ended as (
      update agent_sessions as session
      set status = 'terminated',
          terminated_at = now(),
          updated_at = now(),
          termination_reason = case when ending.is_root then ${reason}::text else 'parent_terminated' end
      from ending
      where session.zone_id = ${zoneId}
        and session.id = ending.id
      returning session.id, session.parent_id, session.application_id, session.session_sid, session.labels,
        session.termination_reason
    ),
    released as (
      update agent_sessions as parent
      set child_count = greatest(0, parent.child_count - lost.children),
          updated_at = now()
      from (
        select parent_id, count(*)::int as children
        from ended
        where parent_id not in (select id from ending)
        group by parent_id
      ) as lost
      where parent.zone_id = ${zoneId}
        and parent.id = lost.parent_id
    ),
    revoked as (
      update delegation_edges
      set status = 'revoked',
          revoked_at = now(),
          updated_at = now(),
          edge_version = edge_version + 1
      where zone_id = ${zoneId}
        and status = 'active'
        and (
          source_agent_id in (select id from ending)
          or target_agent_id in (select id from ending)
        )
      returning id, source_agent_id, target_agent_id, issuer_application_id
    )
    select
      coalesce(
        (
          select jsonb_agg(
            to_jsonb(ended) || jsonb_build_object(
              'revokes_record',
              record.session_type <> 'application' and not exists (
                select 1
                from agent_sessions as other
                where other.zone_id = ${zoneId}
                  and other.session_sid = ended.session_sid
                  and other.status in ('active', 'suspended')
                  and other.id not in (select id from ending)
              )
            )
            order by ended.id
          )
          from ended
          join authority_records as record
            on record.zone_id = ${zoneId}
            and record.id = ended.session_sid
        ),
        '[]'
      ) as sessions,
      coalesce((select jsonb_agg(to_jsonb(revoked) order by id) from revoked), '[]') as edges`
  return tree ?? { sessions: [], edges: [] }
}

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
    returning id, source_agent_id, target_agent_id, issuer_application_id`
  return [...rows]
}
