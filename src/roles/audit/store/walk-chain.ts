/**
 * Reads a zone's chain back in the form it was hashed in, page after page without holding a
 * transaction: links never change, so a walk up to a head read beforehand is consistent, and a
 * long walk holds back nobody. Index (zone_id, chain_seq desc).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import type { StoredForm } from '../canonical.ts'
import type { ChainHead } from './chain.ts'

/** How a walk treats whoever shares the process with it. */
export interface Pace {
  /** Links read, and worked on without a pause, at a time. */
  readonly pageSize: number
  /** After each page it rests this many times as long as the page took. */
  readonly rest: number
}

/** For somebody who waits for the end. */
export const hurried: Pace = { pageSize: 2_000, rest: 0 }
/** For work in the background: a quarter of one core at most, in pieces of a few milliseconds. */
export const unhurried: Pace = { pageSize: 250, rest: 3 }

export interface StoredLink {
  readonly form: StoredForm
  readonly contentSha256: string
  readonly prevContentSha256: string | null
  readonly chainHmac: string | null
  readonly chainKeyId: string | null
  readonly chainSeq: number
}

interface LinkRow {
  readonly id: string
  readonly zone_id: string
  readonly event_type: string
  readonly request_id: string
  readonly decision: string
  readonly policy_set_id: string
  readonly policy_set_version_id: string
  readonly manifest_sha: string
  readonly evaluation_status: string
  readonly determining_policies: string | null
  readonly diagnostics: string | null
  readonly metadata: string | null
  readonly occurred_text: string
  readonly micros: string
  readonly content_sha256: string | null
  readonly prev_content_sha256: string | null
  readonly chain_hmac: string | null
  readonly chain_key_id: string | null
  readonly chain_seq: string
}

/** The newest link the zone's head names, or null for a chain that never began. */
export async function readHead(db: Queryable, zoneId: string): Promise<ChainHead | null> {
  const [row] = await db.sql<{ chain_seq: string; content_sha256: string }[]>`
    select chain_seq::text, content_sha256
    from audit_chain_heads
    where zone_id = ${zoneId}`
  return row === undefined ? null : { chainSeq: Number(row.chain_seq), contentSha256: row.content_sha256 }
}

/** Links `fromSeq` to `toSeq`, both inclusive, ascending; several rows that claim one number come one after the other. */
export async function* walkChain(
  db: Queryable,
  zoneId: string,
  fromSeq: number,
  toSeq: number,
  pace: Pace = hurried,
): AsyncGenerator<StoredLink> {
  let after = { seq: fromSeq - 1, id: '\u{10FFFF}' }
  for (;;) {
    const began = performance.now()
    const rows = await readLinks(db, zoneId, after, toSeq, pace.pageSize)
    for (const row of rows) yield storedLink(row)
    const last = rows.at(-1)
    if (last === undefined || rows.length < pace.pageSize) return
    after = { seq: Number(last.chain_seq), id: last.id }
    if (pace.rest > 0) await sleep((performance.now() - began) * pace.rest)
  }
}

const linkColumns = ({ sql }: Queryable) => sql`
      id, zone_id, event_type, coalesce(request_id, '') as request_id, coalesce(decision, '') as decision,
      coalesce(policy_set_id, '') as policy_set_id,
      coalesce(policy_set_version_id, '') as policy_set_version_id,
      coalesce(manifest_sha, '') as manifest_sha, coalesce(evaluation_status, '') as evaluation_status,
      determining_policies_json::text as determining_policies, diagnostics_json::text as diagnostics,
      metadata_json::text as metadata, (extract(epoch from occurred_at) * 1000000)::bigint::text as micros,
      to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as occurred_text,
      content_sha256, prev_content_sha256, chain_hmac, chain_key_id, chain_seq::text`

async function readLinks(
  db: Queryable,
  zoneId: string,
  after: { readonly seq: number; readonly id: string },
  toSeq: number,
  pageSize: number,
): Promise<readonly LinkRow[]> {
  return await db.sql<LinkRow[]>`
    select ${linkColumns(db)}
    from audit_events
    where zone_id = ${zoneId}
      and chain_seq >= ${after.seq}
      and chain_seq <= ${toSeq}
      and (chain_seq > ${after.seq} or id > ${after.id})
    order by audit_events.chain_seq, id
    limit ${pageSize}`
}

/**
 * Links of all zones ingested from `from` on and before `to`, by zone and number, through one cursor: an
 * archive file needs them in one order. Index on ingested_at.
 */
export async function* linksIngested(tx: Tx, from: string, to: string): AsyncGenerator<StoredLink> {
  await tx.sql`set local statement_timeout = 0`
  const rows = tx.sql<LinkRow[]>`
    select ${linkColumns(tx)}
    from audit_events
    where ingested_at >= ${from}::timestamptz
      and ingested_at < ${to}::timestamptz
    order by zone_id, audit_events.chain_seq`
  for await (const page of rows.cursor(500)) for (const row of page) yield storedLink(row)
}

/** A row no head accounts for: beyond the head, or without a number. Null when there is none. */
export async function strayLink(
  { sql }: Queryable,
  zoneId: string,
): Promise<{ readonly id: string; readonly chainSeq: number | null } | null> {
  // Rows and head move in one transaction, so one snapshot never sees an honest row beyond it.
  const [row] = await sql<{ id: string; chain_seq: string | null }[]>`
    (select id, chain_seq::text
     from audit_events
     where zone_id = ${zoneId}
       and chain_seq > coalesce((select chain_seq from audit_chain_heads where zone_id = ${zoneId}), 0)
     order by audit_events.chain_seq
     limit 1)
    union all
    (select id, null
     from audit_events
     where zone_id = ${zoneId}
       and chain_seq is null
     limit 1)
    limit 1`
  if (row === undefined) return null
  return { id: row.id, chainSeq: row.chain_seq === null ? null : Number(row.chain_seq) }
}

/** Lowest number of the zone's links that occurred at or after `since`; null when there is none. */
export async function firstSequenceSince(
  { sql }: Queryable,
  zoneId: string,
  since: string,
): Promise<number | null> {
  const [row] = await sql<{ seq: number | null }[]>`
    select min(chain_seq)::float8 as seq
    from audit_events
    where zone_id = ${zoneId}
      and occurred_at >= ${since}::timestamptz`
  return row?.seq ?? null
}

/** Every zone that has, or ever had, evidence: rows alone are not asked, they may be gone. */
export async function zonesWithEvidence({ sql }: Queryable): Promise<string[]> {
  const rows = await sql<{ zone_id: string }[]>`
    with recursive stored as (
      (select zone_id from audit_events order by zone_id limit 1)
      union all
      select (select e.zone_id from audit_events e where e.zone_id > stored.zone_id order by e.zone_id limit 1)
      from stored
      where stored.zone_id is not null
    )
    select zone_id from stored where zone_id is not null
    union select zone_id from audit_chain_heads
    union select zone_id from audit_chain_cuts
    union select zone_id from audit_tree_heads
    union select zone_id from audit_tamper_checkpoints where zone_id not like 'admin-audit:%'
    order by zone_id`
  return rows.map((row) => row.zone_id)
}

function storedLink(row: LinkRow): StoredLink {
  return {
    form: {
      id: row.id,
      zoneId: row.zone_id,
      eventType: row.event_type,
      requestId: row.request_id,
      decision: row.decision,
      policySetId: row.policy_set_id,
      policySetVersionId: row.policy_set_version_id,
      manifestSha: row.manifest_sha,
      evaluationStatus: row.evaluation_status,
      determiningPolicies: row.determining_policies,
      diagnostics: row.diagnostics,
      metadata: row.metadata,
      occurredAt: { micros: BigInt(row.micros), text: row.occurred_text },
    },
    contentSha256: row.content_sha256 ?? '',
    prevContentSha256: row.prev_content_sha256,
    chainHmac: row.chain_hmac,
    chainKeyId: row.chain_key_id,
    chainSeq: Number(row.chain_seq),
  }
}
