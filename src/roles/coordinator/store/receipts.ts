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

export function insertReceipt(
  tx: Tx,
  scope: ReceiptScope,
  receipt: {
    readonly keyDigest: Buffer
    readonly requestDigest: Buffer
    readonly resourceType: string
    readonly resourceId: string
    /** JSON text. */
    readonly answer: string
    readonly retentionSeconds: number
  },
): void {
  tx.send(tx.sql`
    insert into coordinator_idempotency_receipts (
      id, operation, zone_id, scope_id, key_digest, request_digest, resource_type, resource_id,
      response_status, response_json, expires_at
    )
    values (
      ${uuidv7()}, ${scope.operation}, ${scope.zoneId}, ${scope.scopeId}, ${receipt.keyDigest},
      ${receipt.requestDigest}, ${receipt.resourceType}, ${receipt.resourceId}, 201,
      ${receipt.answer}::text::jsonb, now() + make_interval(secs => ${receipt.retentionSeconds})
    )`)
}
