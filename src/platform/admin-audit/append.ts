/**
 * Appends to the administrative chain (audit-and-events §8). One chain per zone and one for
 * records without a zone; a transaction-scoped advisory lock per chain is taken before
 * the head is read, so links cannot fork. In the lock order this comes after
 * idempotency, agent_spawn and delegation (storage-and-operations §7.2).
 */
import type { Tx } from '../db/port.ts'
import { uuidv7 } from '../ids.ts'
import type { HmacKey } from '../keys.ts'
import { type AdminAction, adminChainHmac, adminContentSha256, storableAction } from './record.ts'

interface Head {
  readonly content_sha256: string | null
  readonly chain_seq: string | null
  readonly payload_text: string | null
  readonly occurred_at: string
}

/**
 * Writes one link inside the caller's transaction. Two round trips besides the transaction's own:
 * lock and head go out together, each statement with its own snapshot. Uses the index
 * `(zone_id, chain_seq desc nulls last)`.
 */
export async function appendAdminAction(tx: Tx, key: HmacKey, unsafe: AdminAction): Promise<void> {
  const action = storableAction(unsafe)
  const { zoneId } = action
  const lockName = zoneId === null ? 'admin-audit::global' : `admin-audit:${zoneId}`
  const payload = action.payload === null ? null : JSON.stringify(action.payload)

  const [, [head]] = await Promise.all([
    tx.sql`select pg_advisory_xact_lock(hashtextextended(${lockName}, 0))`,
    tx.sql<Head[]>`
      select link.content_sha256,
             link.chain_seq::text as chain_seq,
             ${payload}::jsonb::text as payload_text,
             to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as occurred_at
      from (values (1)) as one
      left join lateral (
        select content_sha256, chain_seq
        from admin_audit_events
        where ${zoneId === null ? tx.sql`zone_id is null` : tx.sql`zone_id = ${zoneId}`}
        order by chain_seq desc nulls last
        limit 1
      ) as link on true`,
  ])
  if (!head) throw new Error('the head of the administrative chain could not be read')

  const id = uuidv7()
  const previous = head.content_sha256
  const content = adminContentSha256({
    ...action,
    id,
    occurredAt: head.occurred_at,
    payloadText: head.payload_text,
  })
  await tx.sql`
    insert into admin_audit_events (
      id, request_id, actor_id, actor_name, actor_scope, action, method, path, zone_id,
      entity_type, entity_id, status_code, payload_json, occurred_at,
      content_sha256, prev_content_sha256, chain_hmac, chain_seq
    ) values (
      ${id}, ${action.requestId}, ${action.actor?.id ?? null}, ${action.actor?.name ?? null},
      ${action.actor?.scope ?? null}, ${action.action}, ${action.method}, ${action.path}, ${zoneId},
      ${action.entityType}, ${action.entityId}, ${action.statusCode}, ${payload}::jsonb,
      ${head.occurred_at}::timestamptz, ${content}, ${previous},
      ${adminChainHmac(key.current, content, previous)}, ${(BigInt(head.chain_seq ?? 0) + 1n).toString()}::bigint
    )`
}
