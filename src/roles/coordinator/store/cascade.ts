/**
 * Ends subtrees of sessions. One statement each for the tree, the sessions, the parents' counts
 * and the edges; the caller holds the spawn lock and the graph lock of the zone.
 */
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
}

/** Roots and every live descendant, ended in one step. Already ended sessions are not touched. */
export async function endSubtrees(
  tx: Tx,
  zoneId: string,
  roots: readonly string[],
  reason: string,
): Promise<EndedSession[]> {
  const rows = await tx.sql<EndedSession[]>`
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
    )
    select
      ended.*,
      record.session_type <> 'application' and not exists (
        select 1
        from agent_sessions as other
        where other.zone_id = ${zoneId}
          and other.session_sid = ended.session_sid
          and other.status in ('active', 'suspended')
          and other.id not in (select id from ending)
      ) as revokes_record
    from ended
    join authority_records as record
      on record.zone_id = ${zoneId}
      and record.id = ended.session_sid
    order by ended.id`
  return [...rows]
}

/** Takes the ended children off their surviving parents' counts; never below zero. */
export async function releaseChildSlots(
  tx: Tx,
  zoneId: string,
  ended: readonly EndedSession[],
): Promise<void> {
  const endedIds = new Set(ended.map((session) => session.id))
  const parents = ended.flatMap(({ parent_id: id }) => (id !== null && !endedIds.has(id) ? [id] : []))
  if (parents.length === 0) return
  await tx.sql`
    update agent_sessions as parent
    set child_count = greatest(0, parent.child_count - lost.children),
        updated_at = now()
    from (
      select id, count(*)::int as children
      from unnest(${parents}::text[]) as given(id)
      group by id
    ) as lost
    where parent.zone_id = ${zoneId}
      and parent.id = lost.id`
}

/** Revokes every active edge that starts or ends at one of the sessions. */
export async function revokeEdgesOf(
  tx: Tx,
  zoneId: string,
  sessions: readonly string[],
): Promise<RevokedEdge[]> {
  if (sessions.length === 0) return []
  const rows = await tx.sql<RevokedEdge[]>`
    update delegation_edges
    set status = 'revoked',
        revoked_at = now(),
        updated_at = now(),
        edge_version = edge_version + 1
    where zone_id = ${zoneId}
      and status = 'active'
      and (
        source_agent_id = any(${sessions as string[]}::text[])
        or target_agent_id = any(${sessions as string[]}::text[])
      )
    returning id, source_agent_id, target_agent_id`
  return [...rows]
}
