/** Reads administrative chains back as they were hashed (audit-and-events §8.2). Index (zone_id, chain_seq desc nulls last). */
import { zoneOfChain } from '../../../platform/admin-audit/chain-name.ts'
import type { SealedAdminAction } from '../../../platform/admin-audit/record.ts'
import type { Queryable } from '../../../platform/db/port.ts'

const pageSize = 2_000

export interface AdminLink {
  readonly record: SealedAdminAction
  readonly contentSha256: string
  readonly prevContentSha256: string | null
  readonly chainHmac: string | null
  readonly chainSeq: number
}

interface AdminRow {
  readonly id: string
  readonly request_id: string
  readonly actor_id: string | null
  readonly actor_name: string | null
  readonly actor_scope: string | null
  readonly action: string
  readonly method: string
  readonly path: string
  readonly zone_id: string | null
  readonly entity_type: string | null
  readonly entity_id: string | null
  readonly status_code: number
  readonly payload_text: string | null
  readonly occurred_at: string
  readonly content_sha256: string | null
  readonly prev_content_sha256: string | null
  readonly chain_hmac: string | null
  readonly chain_seq: string | null
}

/** All links of one chain, ascending; `null` is the chain of records without a zone. */
export async function* walkAdminChain(db: Queryable, zoneId: string | null): AsyncGenerator<AdminLink> {
  const { sql } = db
  let after = { seq: -1, id: '' }
  for (;;) {
    const rows: readonly AdminRow[] = await sql<AdminRow[]>`
      select id, coalesce(request_id, '') as request_id, actor_id, actor_name, actor_scope, action, method, path, zone_id, entity_type,
             entity_id, status_code, payload_json::text as payload_text,
             to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as occurred_at,
             content_sha256, prev_content_sha256, chain_hmac, chain_seq::text
      from admin_audit_events
      where ${zoneId === null ? sql`zone_id is null` : sql`zone_id = ${zoneId}`}
        and (chain_seq > ${after.seq} or (chain_seq = ${after.seq} and id > ${after.id}))
      order by admin_audit_events.chain_seq, id
      limit ${pageSize}`
    for (const row of rows) yield adminLink(row)
    const last = rows.at(-1)
    if (last === undefined || rows.length < pageSize) return
    after = { seq: Number(last.chain_seq), id: last.id }
  }
}

/** Zones that have, or ever had, administrative records; null stands for the chain without a zone. */
export async function adminChains({ sql }: Queryable): Promise<(string | null)[]> {
  const [stored, attested] = await Promise.all([
    sql<{ zone_id: string | null }[]>`select distinct zone_id from admin_audit_events`,
    sql<{ name: string }[]>`
      select zone_id as name
      from audit_tamper_checkpoints
      where zone_id like 'admin-audit:%'`,
  ])
  return [...new Set([...stored.map((row) => row.zone_id), ...attested.map(({ name }) => zoneOfChain(name))])]
}

function adminLink(row: AdminRow): AdminLink {
  const actor = { id: row.actor_id ?? '', name: row.actor_name ?? '', scope: row.actor_scope ?? '' }
  return {
    record: {
      id: row.id,
      requestId: row.request_id,
      actor,
      action: row.action,
      method: row.method,
      path: row.path,
      zoneId: row.zone_id,
      entityType: row.entity_type,
      entityId: row.entity_id,
      statusCode: row.status_code,
      payload: null,
      payloadText: row.payload_text,
      occurredAt: row.occurred_at,
    },
    contentSha256: row.content_sha256 ?? '',
    prevContentSha256: row.prev_content_sha256,
    chainHmac: row.chain_hmac,
    chainSeq: Number(row.chain_seq),
  }
}
