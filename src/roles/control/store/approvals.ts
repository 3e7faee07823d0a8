/**
 * Approvals: human holds made by the STS (sts §8.2), decided here or there. The state is
 * derived in the statement, with the database's clock.
 */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { HoldMetadata } from '../../sts/port.ts'
import { given, keyset, type Page, type PageQuery } from './page.ts'

export type ApprovalState = 'pending' | 'approved' | 'rejected' | 'expired' | 'consumed'

export interface Approval {
  readonly id: string
  readonly zone_id: string
  readonly session_id: string | null
  readonly principal_id: string | null
  readonly application_id: string | null
  readonly approval_type: string
  readonly tier: string | null
  readonly approver_class: 'operator' | 'subject' | 'any'
  readonly privacy_mode: 'identified' | 'pseudonymous' | 'anonymous'
  readonly subject_anchor: string | null
  readonly binding: string | null
  readonly metadata_json: HoldMetadata
  readonly decision_reason: string | null
  readonly created_at: Date
  readonly expires_at: Date
  readonly satisfied_at: Date | null
  readonly rejected_at: Date | null
  readonly consumed_at: Date | null
  readonly approver_subject_id: string | null
  readonly principal_federated: boolean
  readonly prior_approved: number
  readonly prior_rejected: number
  readonly state: ApprovalState
}

const state = ({ sql }: Queryable) => sql`
  case
    when c.consumed_at is not null then 'consumed'
    when c.rejected_at is not null then 'rejected'
    when c.expires_at <= now() then 'expired'
    when c.satisfied_at is not null then 'approved'
    else 'pending'
  end`

/** The same as `state`, said so that the indexes over open holds can serve it. */
function inState({ sql }: Queryable, wanted: ApprovalState) {
  switch (wanted) {
    case 'consumed':
      return sql`c.consumed_at is not null`
    case 'rejected':
      return sql`c.consumed_at is null and c.rejected_at is not null`
    case 'expired':
      return sql`c.consumed_at is null and c.rejected_at is null and c.expires_at <= now()`
    case 'approved':
      return sql`c.consumed_at is null and c.rejected_at is null and c.expires_at > now() and c.satisfied_at is not null`
    case 'pending':
      return sql`c.consumed_at is null and c.rejected_at is null and c.expires_at > now() and c.satisfied_at is null`
  }
}

const columns = (db: Queryable) => db.sql`
  c.id, c.zone_id, c.session_id, c.principal_id, c.application_id, c.challenge_type as approval_type, c.tier,
  c.approver_class, c.privacy_mode, c.subject_anchor, encode(c.resource_set_hash, 'hex') as binding,
  c.metadata_json, c.decision_reason, c.created_at, c.expires_at, c.satisfied_at, c.rejected_at, c.consumed_at,
  c.approver_subject_id,
  -- Not "exists", which the planner answers for a whole page at once by reading every record there is.
  coalesce((
    select a.claims_json ? 'iss' from authority_records a where a.zone_id = c.zone_id and a.id = c.session_id
  ), false) as principal_federated,
  (select count(*)::int from step_up_challenges p
    where p.zone_id = c.zone_id and p.principal_id = c.principal_id and p.id <> c.id
      and p.created_at < c.created_at and p.satisfied_at is not null) as prior_approved,
  (select count(*)::int from step_up_challenges p
    where p.zone_id = c.zone_id and p.principal_id = c.principal_id and p.id <> c.id
      and p.created_at < c.created_at and p.rejected_at is not null) as prior_rejected,
  ${state(db)} as state`

export interface ApprovalFilters {
  readonly state?: ApprovalState | undefined
  readonly tier?: string | undefined
  readonly principal?: string | undefined
  /** Inclusive on both ends. */
  readonly since?: string | undefined
  readonly until?: string | undefined
}

export async function listApprovals(
  db: Queryable,
  zoneId: string,
  filters: ApprovalFilters,
  query: PageQuery,
): Promise<Page<Approval>> {
  const { sql } = db
  const keys = keyset(sql, query, ['approvals', zoneId, filters], 'c.created_at', 'c.id')
  const rows = await plannedForItsValues(sql<(Approval & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position}
    from step_up_challenges c
    where c.zone_id = ${zoneId}
      and ${given(sql, filters.state, (value) => inState(db, value))}
      and ${given(sql, filters.tier, (value) => sql`c.tier = ${value}`)}
      and ${given(sql, filters.principal, (value) => sql`c.principal_id = ${value}`)}
      and ${given(sql, filters.since, (value) => sql`c.created_at >= ${value}::timestamptz`)}
      and ${given(sql, filters.until, (value) => sql`c.created_at <= ${value}::timestamptz`)}
      and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

export async function countApprovals(db: Queryable, zoneId: string): Promise<Record<ApprovalState, number>> {
  const rows = await db.sql<{ state: ApprovalState; n: number }[]>`
    select ${state(db)} as state, count(*)::int as n
    from step_up_challenges c
    where c.zone_id = ${zoneId}
    group by 1`
  const counts = { pending: 0, approved: 0, rejected: 0, expired: 0, consumed: 0 }
  for (const row of rows) counts[row.state] = row.n
  return counts
}

export async function findApproval(db: Queryable, zoneId: string, id: string): Promise<Approval | null> {
  const [row] = await db.sql<Approval[]>`
    select ${columns(db)} from step_up_challenges c where c.zone_id = ${zoneId} and c.id = ${id}`
  return row ?? null
}

export interface Decision {
  readonly approve: boolean
  readonly approver: string
  readonly reason: string | null
}

/**
 * Decides a hold that is still open to operators, in one guarded statement: of two deciders
 * exactly one gets the row. Wakes waiting STS long polls when the transaction commits.
 */
export async function decideApproval(
  tx: Tx,
  zoneId: string,
  id: string,
  decision: Decision,
): Promise<Approval | null> {
  const { sql } = tx
  const [row] = await sql<Approval[]>`
    update step_up_challenges c set
      satisfied_at = ${decision.approve ? sql`now()` : sql`c.satisfied_at`},
      rejected_at = ${decision.approve ? sql`c.rejected_at` : sql`now()`},
      approver_subject_id = ${decision.approver},
      decision_reason = ${decision.reason}
    where c.zone_id = ${zoneId}
      and c.id = ${id}
      and c.satisfied_at is null
      and c.rejected_at is null
      and c.consumed_at is null
      and c.expires_at > now()
      and c.approver_class in ('operator', 'any')
    returning ${columns(tx)}`
  if (row === undefined) return null
  await sql`select pg_notify('caracal_approval_decided', ${id})`
  return row
}
