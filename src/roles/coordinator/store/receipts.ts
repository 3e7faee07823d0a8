/** `coordinator_idempotency_receipts`: the stored answers of idempotent creations. */

import type { Tx } from '../../../platform/db/port.ts'
import { uuidv7 } from '../../../platform/ids.ts'

export interface ReceiptScope {
  readonly operation: string
  readonly zoneId: string
  readonly scopeId: string
}

export interface Receipt {
  readonly request_digest: Buffer
  readonly resource_id: string
  readonly response_status: number
  readonly response_json: Record<string, unknown>
}

/** First in the lock order: taken before the zone's locks. */
export async function lockIdempotencyKey(tx: Tx, name: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`
}

export async function deleteExpired(tx: Tx, scope: ReceiptScope, digests: readonly Buffer[]): Promise<void> {
  await tx.sql`
    delete from coordinator_idempotency_receipts
    where operation = ${scope.operation}
      and zone_id = ${scope.zoneId}
      and scope_id = ${scope.scopeId}
      and key_digest in ${tx.sql(digests as Buffer[])}
      and expires_at <= statement_timestamp()`
}

export async function findReceipt(
  tx: Tx,
  scope: ReceiptScope,
  digests: readonly Buffer[],
): Promise<Receipt | null> {
  const [row] = await tx.sql<Receipt[]>`
    select request_digest, resource_id, response_status, response_json
    from coordinator_idempotency_receipts
    where operation = ${scope.operation}
      and zone_id = ${scope.zoneId}
      and scope_id = ${scope.scopeId}
      and key_digest in ${tx.sql(digests as Buffer[])}`
  return row ?? null
}

export async function countReceipts(tx: Tx, scope: ReceiptScope): Promise<number> {
  const [row] = await tx.sql<{ live: number }[]>`
    select count(*)::int as live
    from coordinator_idempotency_receipts
    where operation = ${scope.operation}
      and zone_id = ${scope.zoneId}
      and scope_id = ${scope.scopeId}
      and expires_at > statement_timestamp()`
  return row?.live ?? 0
}

export async function insertReceipt(
  tx: Tx,
  scope: ReceiptScope,
  receipt: {
    readonly keyDigest: Buffer
    readonly requestDigest: Buffer
    readonly resourceType: string
    readonly resourceId: string
    readonly body: unknown
    readonly retentionSeconds: number
  },
): Promise<void> {
  await tx.sql`
    insert into coordinator_idempotency_receipts (
      id, operation, zone_id, scope_id, key_digest, request_digest, resource_type, resource_id,
      response_status, response_json, expires_at
    )
    values (
      ${uuidv7()}, ${scope.operation}, ${scope.zoneId}, ${scope.scopeId}, ${receipt.keyDigest},
      ${receipt.requestDigest}, ${receipt.resourceType}, ${receipt.resourceId}, 201,
      ${JSON.stringify(receipt.body)}::text::jsonb, now() + make_interval(secs => ${receipt.retentionSeconds})
    )`
}
