/**
 * SQL over `step_up_challenges` (sts §8). A hold's state is always derived by the
 * database clock; decisions and consumption guard themselves in their `where`.
 */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import type { Hold, HoldMetadata, IssuedRecord } from '../approvals/hold.ts'
import type { HoldTerms } from '../approvals/merge-gates.ts'

type Db = Pick<Queryable, 'sql'>

const holdColumns = (db: Db) => db.sql`
  id, zone_id, coalesce(session_id, '') as session_id, challenge_type,
  coalesce(principal_id, '') as principal_id, application_id, coalesce(tier, '') as tier,
  approver_class, privacy_mode, subject_anchor, encode(resource_set_hash, 'hex') as binding,
  (extract(epoch from expires_at) * 1000)::float8 as expires_at,
  (extract(epoch from now() - consumed_at) * 1000)::float8 as consumed_ago,
  consumed_authority_record_id, metadata_json as metadata,
  case
    when consumed_at is not null then 'consumed'
    when rejected_at is not null then 'rejected'
    when expires_at <= now() then 'expired'
    when satisfied_at is not null then 'approved'
    else 'pending'
  end as state`

/** Primary key. */
export async function readHold(db: Db, id: string): Promise<Hold | null> {
  const [row] = await db.sql<Hold[]>`select ${holdColumns(db)} from step_up_challenges where id = ${id}`
  return row ?? null
}

export interface HoldRequest {
  readonly zoneId: string
  readonly principalId: string
  readonly applicationId: string | null
  /** `''` when the request has none. */
  readonly recordId: string
  readonly binding: Buffer
  readonly subjectAnchor: string | null
  readonly metadata: HoldMetadata
}

/** Removes what ran out unused, so that the same request can be held again. */
export async function deleteExpiredHold(tx: Tx, request: HoldRequest): Promise<void> {
  await tx.sql`
    delete from step_up_challenges
    where zone_id = ${request.zoneId}
      and principal_id = ${request.principalId}
      and session_id = ${request.recordId}
      and resource_set_hash = ${request.binding}
      and consumed_at is null
      and expires_at <= now()`
}

/** The new hold, or `null` when one is open for the same request. */
export async function insertHold(
  tx: Tx,
  id: string,
  request: HoldRequest,
  terms: HoldTerms,
): Promise<Hold | null> {
  const [row] = await tx.sql<Hold[]>`
    insert into step_up_challenges
      (id, zone_id, session_id, challenge_type, principal_id, application_id, tier, approver_class,
       privacy_mode, subject_anchor, resource_set_hash, metadata_json, expires_at)
    values (${id}, ${request.zoneId}, ${request.recordId}, 'human_approval', ${request.principalId},
            ${request.applicationId}, ${terms.tier}, ${terms.approverClass}, ${terms.privacyMode},
            ${request.subjectAnchor}, ${request.binding},
            ${JSON.stringify(request.metadata)}::text::jsonb,
            date_trunc('second', now()) + make_interval(secs => ${terms.ttlSeconds}))
    on conflict do nothing
    returning ${holdColumns(tx)}`
  return row ?? null
}

/** The hold that is open for the same request. Partial unique index. */
export async function readOpenHold(tx: Tx, request: HoldRequest): Promise<Hold | null> {
  const [row] = await tx.sql<Hold[]>`
    select ${holdColumns(tx)}
    from step_up_challenges
    where zone_id = ${request.zoneId}
      and principal_id = ${request.principalId}
      and session_id = ${request.recordId}
      and resource_set_hash = ${request.binding}
      and consumed_at is null`
  return row ?? null
}

/** Spends an approved hold exactly once (sts §8.5); false when it is not there to be spent. */
export async function consumeHold(db: Db, hold: Hold, recordId: string | null): Promise<boolean> {
  const rows = await db.sql`
    update step_up_challenges h
    set consumed_at = now(),
        consumed_authority_record_id = ${recordId}
    where h.id = ${hold.id}
      and h.zone_id = ${hold.zone_id}
      and h.principal_id = ${hold.principal_id}
      and h.resource_set_hash = ${Buffer.from(hold.binding, 'hex')}
      and h.challenge_type = 'human_approval'
      and h.satisfied_at is not null
      and h.approver_subject_id is not null
      and h.rejected_at is null
      and h.consumed_at is null
      and h.expires_at > now()
      and (coalesce(h.session_id, '') = '' or exists (
        select 1
        from authority_records a
        where a.id = h.session_id
          and a.zone_id = h.zone_id
          and a.status = 'active'
          and a.expires_at > now()))
    returning h.id`
  return rows.length === 1
}

/** The record a consumed hold created, `null` when it is not active any more. */
export async function findIssuedRecord(
  db: Db,
  zoneId: string,
  recordId: string,
): Promise<IssuedRecord | null> {
  const [row] = await db.sql<IssuedRecord[]>`
    select id,
           (extract(epoch from authenticated_at) * 1000)::float8 as "issuedAt",
           (extract(epoch from expires_at) * 1000)::float8 as "expiresAt"
    from authority_records
    where id = ${recordId}
      and zone_id = ${zoneId}
      and status = 'active'
      and expires_at > now()`
  return row ?? null
}

export interface SubjectDecision {
  readonly approved: boolean
  readonly approverSubjectId: string
  readonly approverRecordId: string
  readonly reason: string | null
}

/** Decides a hold the federated way; `null` when it is decided, spent or expired already. */
export async function decideHold(tx: Tx, holdId: string, decision: SubjectDecision): Promise<Hold | null> {
  const [row] = await tx.sql<Hold[]>`
    update step_up_challenges
    set satisfied_at = case when ${decision.approved} then now() end,
        rejected_at = case when ${decision.approved} then null else now() end,
        approver_subject_id = ${decision.approverSubjectId},
        approver_session_id = ${decision.approverRecordId},
        decision_reason = ${decision.reason}
    where id = ${holdId}
      and approver_class in ('subject', 'any')
      and satisfied_at is null
      and rejected_at is null
      and consumed_at is null
      and expires_at > now()
    returning ${holdColumns(tx)}`
  return row ?? null
}

/** Wakes everybody who waits for this hold when the transaction commits. */
export async function notifyDecided(tx: Tx, holdId: string): Promise<void> {
  await tx.sql`select pg_notify('caracal_approval_decided', ${holdId})`
}

/** True when one record is the other or its ancestor: a requester must not approve itself. */
export async function onOneAncestryLine(
  db: Db,
  zoneId: string,
  recordId: string,
  otherId: string,
): Promise<boolean> {
  const rows = await db.sql`
    with recursive line as (
      select id, parent_id, id as start
      from authority_records
      where zone_id = ${zoneId} and id in (${recordId}, ${otherId})
      union
      select a.id, a.parent_id, l.start
      from line l
      join authority_records a on a.id = l.parent_id and a.zone_id = ${zoneId}
    )
    select 1
    from line
    where (start = ${recordId} and id = ${otherId})
       or (start = ${otherId} and id = ${recordId})
    limit 1`
  return rows.length > 0
}

/** Deletes holds that have been over for 24 h, oldest first; answers how many. Sweep index. */
export async function sweepHolds(db: Db, limit: number): Promise<number> {
  const rows = await db.sql`
    delete from step_up_challenges
    where id = any(array(
      select id
      from step_up_challenges
      where greatest(
        coalesce(consumed_at, '-infinity'::timestamptz),
        coalesce(rejected_at, '-infinity'::timestamptz),
        expires_at) < now() - interval '24 hours'
      order by greatest(
        coalesce(consumed_at, '-infinity'::timestamptz),
        coalesce(rejected_at, '-infinity'::timestamptz),
        expires_at)
      limit ${limit}
      for update skip locked))
    returning id`
  return rows.length
}
