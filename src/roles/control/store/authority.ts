/**
 * Withdrawing authority: records of the STS and what stands on them (storage-and-operations
 * §3.2 lets control set their status). Callers hold the zone's spawn and graph locks,
 * so nothing is minted or spawned between the statements of one withdrawal.
 */
import type { Queryable, Tx } from '../../../platform/db/port.ts'

const PAGE = 1000

export interface Withdrawal {
  readonly zoneId: string
  readonly subjects: readonly string[]
  /** Only records of this type; `null` = any. */
  readonly type: 'application' | null
  readonly reason: string
}

/** Revokes the subjects' active records and everything minted under them. Returns the revoked ids. */
export async function revokeRecordsOf(tx: Tx, withdrawal: Withdrawal): Promise<string[]> {
  const { sql } = tx
  const { zoneId, reason, type } = withdrawal
  const subjects = [...withdrawal.subjects]
  const revoked: string[] = []
  for (;;) {
    const rows = await sql<{ id: string; seed: boolean }[]>`
      with recursive seed as (
        select id from authority_records
        where zone_id = ${zoneId} and subject_id = any(${subjects}::text[]) and status = 'active'
          and ${type === null ? sql`true` : sql`session_type = ${type}`}
        order by id
        limit ${PAGE}
      ), lineage as (
        select id from seed
        union
        select child.id
        from lineage
        join authority_records child on child.zone_id = ${zoneId} and child.parent_id = lineage.id
      )
      update authority_records a
      set status = 'revoked', revoked_at = now(), revoked_reason = ${reason}
      from lineage
      where a.id = lineage.id and a.zone_id = ${zoneId} and a.status = 'active'
      returning a.id, a.id in (select id from seed) as seed`
    revoked.push(...rows.map((row) => row.id))
    if (rows.filter((row) => row.seed).length < PAGE) return revoked
  }
}

/** Live sessions that stand on a record of these subjects, or on one of `records`. */
export async function liveSessionsOf(
  tx: Tx,
  withdrawal: Withdrawal,
  records: readonly string[],
): Promise<string[]> {
  const { sql } = tx
  const rows = await sql<{ id: string }[]>`
    select s.id
    from agent_sessions s
    join authority_records a on a.zone_id = s.zone_id and a.id = s.session_sid
    where s.zone_id = ${withdrawal.zoneId}
      and s.status in ('active', 'suspended')
      and (a.id = any(${records as string[]}::text[])
        or (a.subject_id = any(${withdrawal.subjects as string[]}::text[])
          and ${withdrawal.type === null ? sql`true` : sql`a.session_type = ${withdrawal.type}`}))`
  return rows.map((row) => row.id)
}

/** Whether the zone ever saw this subject: as an application, on a record that is kept or was, or with a stored account. */
export async function subjectSeen(db: Queryable, zoneId: string, subjectId: string): Promise<boolean> {
  const [row] = await db.sql<{ seen: boolean }[]>`
    select exists (select 1 from authority_records where zone_id = ${zoneId} and subject_id = ${subjectId})
        or exists (select 1 from subjects where zone_id = ${zoneId} and subject_id = ${subjectId})
        or exists (select 1 from applications where zone_id = ${zoneId} and id = ${subjectId})
        or exists (select 1 from provider_connections where zone_id = ${zoneId} and subject_id = ${subjectId})
      as seen`
  return row?.seen === true
}

/** Whether the record of a token is active and its application not archived. One row of two keys. */
export async function isLiveAuthority(
  db: Queryable,
  token: { readonly zoneId: string; readonly recordId: string; readonly clientId: string },
): Promise<boolean> {
  const rows = await db.sql`
    select 1
    from authority_records r
    join applications a on a.zone_id = r.zone_id and a.id = ${token.clientId}
    where r.zone_id = ${token.zoneId}
      and r.id = ${token.recordId}
      and r.status = 'active'
      and a.archived_at is null`
  return rows.length > 0
}

/** Revokes the subject's stored upstream accounts; returns how many were active. */
export async function revokeConnectionsOf(tx: Tx, zoneId: string, subjectId: string): Promise<number> {
  const rows = await tx.sql`
    update provider_connections set status = 'revoked', updated_at = now()
    where zone_id = ${zoneId} and subject_id = ${subjectId} and status = 'active'
    returning id`
  return rows.length
}

/**
 * Marks up to `limit` records as expired that are past their time, as many of zones that are archived, and adds what
 * has ended to the sums of its subject. Answers how many records it wrote. No events: nothing could use them. Takes rows nobody holds, and only
 * it writes `subjects`, so it waits for nobody.
 */
export async function expireAuthorityRecords(db: Queryable, limit: number): Promise<number> {
  const [row] = await db.sql<{ n: number }[]>`
    with overdue as (
      select id, tally
      from authority_records
      where status = 'active' and expires_at < now()
      order by expires_at
      limit ${limit}
      for update skip locked
    ), homeless as (
      select a.id, a.tally
      from zones z
      join authority_records a on a.zone_id = z.id
      where z.archived_at is not null and a.status = 'active' and a.expires_at >= now()
      limit ${limit}
      for update of a skip locked
    ), untold as (
      select id, tally
      from authority_records
      where status <> 'active' and tally <> 'done'
      limit ${limit}
      for update skip locked
    ), ended as (
      update authority_records a
      set status = case a.status when 'active' then 'expired' else a.status end, tally = 'done'
      from (select * from overdue union all select * from homeless union all select * from untold) due
      where a.id = due.id
      returning a.zone_id, a.subject_id, due.tally, a.status, a.created_at, a.revoked_at, a.claims_json
    ), told as (
      insert into subjects as s
        (zone_id, subject_id, records, revoked, first_seen, last_seen, last_revoked_at, federated, issuer)
      select zone_id, subject_id, count(*) filter (where tally = 'due'), count(*) filter (where status = 'revoked'),
        min(created_at), max(created_at), max(revoked_at), coalesce(bool_or(claims_json ? 'iss'), false),
        max(claims_json->>'iss')
      from ended
      where subject_id is not null
      group by zone_id, subject_id
      order by zone_id, subject_id
      on conflict (zone_id, subject_id) do update
      set records = s.records + excluded.records,
          revoked = s.revoked + excluded.revoked,
          first_seen = least(s.first_seen, excluded.first_seen),
          last_seen = greatest(s.last_seen, excluded.last_seen),
          last_revoked_at = greatest(s.last_revoked_at, excluded.last_revoked_at),
          federated = s.federated or excluded.federated,
          issuer = greatest(s.issuer, excluded.issuer)
    )
    select count(*)::int as n from ended`
  return row?.n ?? 0
}

/**
 * Deletes up to `limit` records that ran out more than `days` ago, are in the sums of their subject, and are no
 * session's and no other record's ground; answers how many. What was decided on them stays in the ledger. Index
 * authority_records_ended_idx.
 */
export async function deleteEndedRecords(tx: Tx, days: number, limit: number): Promise<number> {
  const deleted = await tx.sql`
    delete from authority_records where id in (
      select a.id
      from authority_records a
      where a.status <> 'active' and a.tally = 'done' and a.expires_at < now() - make_interval(days => ${days})
        and not exists (select from agent_sessions s where s.session_sid = a.id)
        and not exists (select from authority_records c where c.zone_id = a.zone_id and c.parent_id = a.id)
      order by a.expires_at
      limit ${limit}
      for update skip locked)`
  return deleted.count
}
