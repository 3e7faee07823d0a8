/**
 * Appends to the administrative chain (audit-and-events §8). One chain per zone and one for
 * records without a zone; a transaction-scoped advisory lock per chain is taken before
 * the head is read, so links cannot fork. In the lock order this comes after
 * idempotency, agent_spawn and delegation (storage-and-operations §7.2).
 */
import { awaitNamedLocks } from '../db/advisory-locks.ts'
import type { Tx } from '../db/port.ts'
import { isAborted, isUnavailable } from '../db/unavailable.ts'
import { uuidv7 } from '../ids.ts'
import type { HmacKey } from '../keys.ts'
import { adminChainName } from './chain-name.ts'
import { type AdminAction, adminChainHmac, adminContentSha256, storableAction } from './record.ts'

interface Head {
  readonly content_sha256: string | null
  readonly chain_seq: string | null
  readonly payload_text: string | null
  readonly occurred_at: string
}

/** Writes one link inside the caller's transaction; see `appendAdminActions`. */
export function appendAdminAction(tx: Tx, key: HmacKey, action: AdminAction): Promise<void> {
  return appendAdminActions(tx, key, [action])
}

/**
 * Writes one link for each action, in order, inside the caller's transaction. The chains are locked in
 * one order, so callers cannot deadlock. One round trip for however many actions: locks
 * and heads go out together, each statement with its own snapshot; the links leave with the commit. Uses the index
 * `(zone_id, chain_seq desc nulls last)`.
 */
export async function appendAdminActions(
  tx: Tx,
  key: HmacKey,
  unsafe: readonly AdminAction[],
): Promise<void> {
  const actions = unsafe.map(storableAction)
  const payloads = actions.map(payloadOf)
  const [, heads] = await Promise.all([
    awaitNamedLocks(tx, [...new Set(actions.map(({ zoneId }) => adminChainName(zoneId)))]),
    readHeads(
      tx,
      actions.map(({ zoneId }) => zoneId),
      payloads,
    ),
  ])
  // Its failure is the transaction's.
  sendLinks(tx, key, actions, payloads, heads).catch(() => undefined)
}

/**
 * Locks the chain of `zoneId` and reads its head, in one packet; what it answers writes the link of an
 * action of that zone without payload, which leaves with the commit. For a change that carries its own record.
 * `onRefused` hears that the store refused the record, and not only the transaction it is in.
 */
export async function openAdminRecord(
  tx: Tx,
  key: HmacKey,
  zoneId: string | null,
  onRefused: () => void,
): Promise<(action: AdminAction) => void> {
  const told = refusalTo(onRefused)
  const [, write] = await Promise.all([
    awaitNamedLocks(tx, [adminChainName(zoneId)]).catch(told),
    openAdminRecords(tx, key, [zoneId], onRefused),
  ])
  return (action) => write([{ ...action, zoneId }])
}

/**
 * As `openAdminRecord` for several chains, of which the caller holds the locks (`adminChainName`); what it answers
 * writes one link for each action, in order, each of one of `zones`.
 */
export async function openAdminRecords(
  tx: Tx,
  key: HmacKey,
  zones: readonly (string | null)[],
  onRefused: () => void,
): Promise<(actions: readonly AdminAction[]) => void> {
  const told = refusalTo(onRefused)
  const heads = await readHeads(
    tx,
    zones,
    zones.map(() => null),
  ).catch(told)
  const headOf = new Map(zones.map((zone, at) => [zone, heads[at]]))
  return (unsafe) => {
    if (unsafe.length === 0) return
    const actions = unsafe.map((action) => storableAction({ ...action, payload: null }))
    const links = actions.map(({ zoneId }) => headOf.get(zoneId))
    sendLinks(
      tx,
      key,
      actions,
      actions.map(() => null),
      links,
    )
      .catch(told)
      .catch(() => undefined)
  }
}

function refusalTo(onRefused: () => void): (error: unknown) => never {
  return (error) => {
    if (!isOfTheTransaction(error)) onRefused()
    throw error
  }
}

/** Failures that come from elsewhere in the transaction, from its rivals, or from the connection. */
function isOfTheTransaction(error: unknown): boolean {
  return isUnavailable(error) || isAborted(error)
}

const payloadOf = ({ payload }: AdminAction): string | null =>
  payload === null ? null : JSON.stringify(payload)

/** One link for each action, behind the head of its chain or the link before it. */
function sendLinks(
  tx: Tx,
  key: HmacKey,
  actions: readonly AdminAction[],
  payloads: readonly (string | null)[],
  heads: readonly (Head | undefined)[],
): Promise<unknown> {
  const chains = new Map<string | null, { readonly content: string | null; readonly seq: bigint }>()
  const links = actions.map((action, index) => {
    const head = heads[index]
    if (head === undefined) throw new Error('the head of the administrative chain could not be read')
    const { content: previous, seq } = chains.get(action.zoneId) ?? {
      content: head.content_sha256,
      seq: BigInt(head.chain_seq ?? 0),
    }
    const id = uuidv7()
    const content = adminContentSha256({
      ...action,
      id,
      occurredAt: head.occurred_at,
      payloadText: head.payload_text,
    })
    chains.set(action.zoneId, { content, seq: seq + 1n })
    return {
      id,
      request_id: action.requestId,
      actor_id: action.actor?.id ?? null,
      actor_name: action.actor?.name ?? null,
      actor_scope: action.actor?.scope ?? null,
      action: action.action,
      method: action.method,
      path: action.path,
      zone_id: action.zoneId,
      entity_type: action.entityType,
      entity_id: action.entityId,
      status_code: action.statusCode,
      payload: payloads[index] ?? null,
      occurred_at: head.occurred_at,
      content_sha256: content,
      prev_content_sha256: previous,
      chain_hmac: adminChainHmac(key.current, content, previous),
      chain_seq: (seq + 1n).toString(),
    }
  })
  const write = tx.sql`
    insert into admin_audit_events (
      id, request_id, actor_id, actor_name, actor_scope, action, method, path, zone_id,
      entity_type, entity_id, status_code, payload_json, occurred_at,
      content_sha256, prev_content_sha256, chain_hmac, chain_seq
    )
    select
      id, request_id, actor_id, actor_name, actor_scope, action, method, path, zone_id,
      entity_type, entity_id, status_code, payload::jsonb, occurred_at,
      content_sha256, prev_content_sha256, chain_hmac, chain_seq
    from json_to_recordset(${JSON.stringify(links)}::text::json) as link(
      id text, request_id text, actor_id text, actor_name text, actor_scope text, action text, method text,
      path text, zone_id text, entity_type text, entity_id text, status_code int, payload text,
      occurred_at timestamptz, content_sha256 text, prev_content_sha256 text, chain_hmac text,
      chain_seq bigint
    )`
  tx.send(write)
  return write
}

/** One row for each action, in order: the head of its chain, its payload as it will be stored, and the time. */
async function readHeads(
  tx: Tx,
  zones: readonly (string | null)[],
  payloads: readonly (string | null)[],
): Promise<Head[]> {
  return await tx.sql<Head[]>`
    select link.content_sha256,
           link.chain_seq::text as chain_seq,
           wanted.payload::jsonb::text as payload_text,
           to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as occurred_at
    from unnest(${zones as (string | null)[]}::text[], ${payloads as (string | null)[]}::text[])
      with ordinality as wanted(zone, payload, n)
    left join lateral (
      (
        select content_sha256, chain_seq
        from admin_audit_events
        where zone_id = wanted.zone
        order by chain_seq desc nulls last
        limit 1
      )
      union all
      (
        select content_sha256, chain_seq
        from admin_audit_events
        where wanted.zone is null
          and zone_id is null
        order by chain_seq desc nulls last
        limit 1
      )
    ) as link on true
    order by wanted.n`
}
