/** `coordinator_idempotency_receipts`: the stored answers of idempotent creations. */

import type { Tx } from '../../../platform/db/port.ts'
import { uuidv7 } from '../../../platform/ids.ts'
import { granted } from './locks.ts'
import { holdsSlot } from './sessions.ts'

export interface ReceiptScope {
  readonly operation: string
  readonly zoneId: string
  readonly scopeId: string
}

export interface Receipt {
  readonly request_digest: Buffer
  readonly resource_id: string
  readonly response_json: Record<string, unknown>
}

export interface ClaimedReceipt {
  readonly receipt: Receipt | null
  /** Live receipts of the scope, counted no further than `most`. */
  readonly live: number
  /** Receipts of this key that were over and are gone now. */
  readonly expired: number
}

/**
 * Takes the key's lock (first in the lock order), forgets an expired receipt, and reads. The two
 * statements go out together; the second has its own snapshot, so it sees what the lock waited for.
 * Index (operation, zone_id, scope_id, key_digest).
 */
export async function claimReceipt(
  tx: Tx,
  scope: ReceiptScope,
  key: { readonly lock: string; readonly digests: readonly Buffer[]; readonly most: number },
): Promise<ClaimedReceipt> {
  const inScope = tx.sql`
    operation = ${scope.operation}
    and zone_id = ${scope.zoneId}
    and scope_id = ${scope.scopeId}`
  const digests = tx.sql(key.digests as Buffer[])
  const [, [claimed]] = await Promise.all([
    tx.sql`select pg_advisory_xact_lock(hashtextextended(${key.lock}, 0))`,
    tx.sql<({ [Name in keyof Receipt]: Receipt[Name] | null } & { live: number; expired: number })[]>`
      with forgotten as (
        delete from coordinator_idempotency_receipts
        where ${inScope}
          and key_digest in ${digests}
          and expires_at <= statement_timestamp()
        returning 1
      ),
      counted as (
        select 1
        from coordinator_idempotency_receipts
        where ${inScope}
          and expires_at > statement_timestamp()
        limit ${key.most}
      )
      select
        receipt.request_digest,
        receipt.resource_id,
        receipt.response_json,
        (select count(*)::int from counted) as live,
        (select count(*)::int from forgotten) as expired
      from (values (1)) as one
      left join coordinator_idempotency_receipts as receipt
        on ${inScope}
        and key_digest in ${digests}
        and expires_at > statement_timestamp()`,
  ])
  const { live = 0, expired = 0, request_digest, resource_id, response_json } = claimed ?? {}
  const receipt =
    request_digest && resource_id && response_json ? { request_digest, resource_id, response_json } : null
  return { receipt, live, expired }
}

export interface NewReceipt {
  readonly scope: ReceiptScope
  readonly keyDigest: Buffer
  readonly requestDigest: Buffer
  readonly resourceType: string
  readonly resourceId: string
  /** JSON text. */
  readonly answer: string
  readonly retentionSeconds: number
}

export function insertReceipts(tx: Tx, receipts: readonly NewReceipt[]): void {
  if (receipts.length === 0) return
  const rows = receipts.map((receipt) => ({
    id: uuidv7(),
    operation: receipt.scope.operation,
    zone: receipt.scope.zoneId,
    scope: receipt.scope.scopeId,
    key: receipt.keyDigest.toString('hex'),
    request: receipt.requestDigest.toString('hex'),
    type: receipt.resourceType,
    resource: receipt.resourceId,
    answer: receipt.answer,
    seconds: receipt.retentionSeconds,
  }))
  tx.send(tx.sql`
    insert into coordinator_idempotency_receipts (
      id, operation, zone_id, scope_id, key_digest, request_digest, resource_type, resource_id,
      response_status, response_json, expires_at
    )
    select
      id, operation, zone, scope, decode(key, 'hex'), decode(request, 'hex'), type, resource, 201,
      answer::jsonb, now() + make_interval(secs => seconds)
    from json_to_recordset(${JSON.stringify(rows)}::text::json)
      as receipt(id text, operation text, zone text, scope text, key text, request text, type text,
        resource text, answer text, seconds float8)`)
}

/** One start with a key, by its place among the changes of a transaction. */
export interface AskedReceipt {
  readonly n: number
  readonly scope: ReceiptScope
  readonly digests: readonly Buffer[]
  /** Live receipts of a scope are counted no further. */
  readonly most: number
  /** Set where they need not be counted. */
  readonly known: number | null
}

export interface FoundReceipt {
  readonly n: number
  readonly receipt: Receipt | null
  /** The session it tells of holds a capacity slot. */
  readonly session_live: boolean
  /** Live receipts of the scope. */
  readonly live: number
  /** Receipts of this key that are over. */
  readonly over: string[]
}

/** As `claimReceipt` for those starts that hold their locks, by place; what is over is named, not forgotten. */
export async function findReceipts(
  tx: Tx,
  asked: readonly AskedReceipt[],
): Promise<ReadonlyMap<number, FoundReceipt>> {
  if (asked.length === 0) return new Map()
  const rows = asked.map(({ n, scope, digests, most, known }) => ({
    n,
    operation: scope.operation,
    zone: scope.zoneId,
    scope: scope.scopeId,
    digests: digests.map((digest) => digest.toString('hex')),
    most: known === null ? most : 0,
  }))
  const found = await tx.sql<
    (Omit<FoundReceipt, 'receipt'> & {
      readonly receipt: (Omit<Receipt, 'request_digest'> & { readonly request: string }) | null
    })[]
  >`
    with asked as materialized (
      select n, operation, zone, scope, most, array(select decode(digest, 'hex') from unnest(digests) as digest) as digests
      from json_to_recordset(${JSON.stringify(rows)}::text::json)
        as key(n int, operation text, zone text, scope text, digests text[], most int)
      where n = ${granted(tx.sql)}
    ),
    held as materialized (
      select scopes.*, counted.live
      from (select operation, zone, scope, max(most) as most from asked group by operation, zone, scope) as scopes
      cross join lateral (
        select count(*)::int as live
        from (
          select 1
          from coordinator_idempotency_receipts
          where operation = scopes.operation
            and zone_id = scopes.zone
            and scope_id = scopes.scope
            and expires_at > statement_timestamp()
          limit scopes.most
        ) as few
      ) as counted
    )
    select
      asked.n,
      held.live,
      receipt.found as receipt,
      coalesce(
        (
          select true
          from agent_sessions
          where zone_id = asked.zone
            and id = receipt.resource_id
            and ${holdsSlot(tx.sql)}
        ),
        false
      ) as session_live,
      array(
        select id
        from coordinator_idempotency_receipts
        where operation = asked.operation
          and zone_id = asked.zone
          and scope_id = asked.scope
          and key_digest = any(asked.digests)
          and expires_at <= statement_timestamp()
      ) as over
    from asked
    join held on held.operation = asked.operation and held.zone = asked.zone and held.scope = asked.scope
    left join lateral (
      select
        resource_id,
        jsonb_build_object(
          'request', encode(request_digest, 'hex'), 'resource_id', resource_id, 'response_json', response_json
        ) as found
      from coordinator_idempotency_receipts
      where operation = asked.operation
        and zone_id = asked.zone
        and scope_id = asked.scope
        and key_digest = any(asked.digests)
        and expires_at > statement_timestamp()
      limit 1
    ) as receipt on true`
  const knownOf = new Map(asked.map(({ n, known }) => [n, known]))
  return new Map(
    found.map(({ receipt, ...row }) => [
      row.n,
      {
        ...row,
        live: knownOf.get(row.n) ?? row.live,
        receipt:
          receipt === null
            ? null
            : {
                request_digest: Buffer.from(receipt.request, 'hex'),
                resource_id: receipt.resource_id,
                response_json: receipt.response_json,
              },
      },
    ]),
  )
}

export function forgetReceipts(tx: Tx, ids: readonly string[]): void {
  if (ids.length === 0) return
  tx.send(tx.sql`
    delete from coordinator_idempotency_receipts
    where id = any(${ids as string[]}::text[])`)
}
