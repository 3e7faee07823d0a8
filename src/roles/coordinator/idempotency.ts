/**
 * Idempotent creation (coordinator §5): a key is answered once, a repeat gets the stored
 * answer, a different request under the same key is refused. Failed requests store nothing.
 */
import { createHash, createHmac } from 'node:crypto'
import { canonicalJson } from '../../platform/canonical-json.ts'
import type { Tx } from '../../platform/db/port.ts'
import type { HmacKey } from '../../platform/keys.ts'
import { refuse } from './refusal.ts'
import {
  countReceipts,
  deleteExpired,
  findReceipt,
  insertReceipt,
  lockIdempotencyKey,
  type Receipt,
} from './store/receipts.ts'

const digestPrefix = 'caracal:coordinator:idempotency:v1\0'
const lockPrefix = 'caracal:coordinator:idempotency-lock:v1\0'

export interface IdempotentRequest {
  readonly operation: 'session.start.v2' | 'delegation.create.v2'
  readonly zoneId: string
  readonly scopeId: string
  readonly key: string
  /** The fields that make two requests the same, after defaults. */
  readonly fingerprint: Readonly<Record<string, unknown>>
  readonly retentionSeconds: number
  readonly maxReceipts: number
}

export interface Claim {
  /** Set when the same request was answered before. */
  readonly receipt: Receipt | null
  /** Stores the answer of this request; a no-op for a replay. */
  store(result: {
    readonly resourceType: string
    readonly resourceId: string
    readonly body: unknown
  }): Promise<void>
}

/** Reads `Idempotency-Key`. Null without one; throws 400 for one that is malformed. */
export function readIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the rule is about control characters.
  const valid = header !== '' && header === header.trim() && !/[\u0000-\u001f\u007f]/.test(header)
  if (valid && Buffer.byteLength(header) <= 255) return header
  throw refuse('idempotency_key_invalid', {
    message: 'Idempotency-Key must be 1 to 255 bytes without control characters or surrounding spaces',
  })
}

export const keyDigest = (hmacKey: Buffer, key: string): Buffer =>
  createHmac('sha256', hmacKey).update(digestPrefix).update(key).digest()

export const lockHex = (key: string): string =>
  createHash('sha256').update(lockPrefix).update(key).digest('hex')

export const requestDigest = (fingerprint: Readonly<Record<string, unknown>>): Buffer =>
  createHash('sha256').update(canonicalJson(fingerprint)).digest()

/**
 * Takes the key's lock and looks for an earlier answer. Throws 409 `idempotency_key_conflict`
 * for another request under the same key and 429 when the scope holds too many receipts.
 */
export async function claimKey(tx: Tx, hmac: HmacKey, request: IdempotentRequest): Promise<Claim> {
  const [current] = hmac.accepted
  if (current === undefined) throw new Error('IDEMPOTENCY_HMAC_KEY is not configured')
  const { operation, zoneId, scopeId, key } = request
  await lockIdempotencyKey(tx, `${operation}:${zoneId}:${scopeId}:${lockHex(key)}`)
  const scope = { operation, zoneId, scopeId }
  const digests = hmac.accepted.map((candidate) => keyDigest(candidate, key))
  await deleteExpired(tx, scope, digests)
  const digest = requestDigest(request.fingerprint)
  const receipt = await findReceipt(tx, scope, digests)
  if (receipt !== null) {
    if (receipt.request_digest.equals(digest)) return { receipt, store: async () => undefined }
    throw refuse('idempotency_key_conflict', {
      message: 'This Idempotency-Key was used for a different request',
    })
  }
  if ((await countReceipts(tx, scope)) >= request.maxReceipts) {
    throw refuse('idempotency_receipt_limit_exceeded', {
      message: 'Too many live idempotency keys (IDEMPOTENCY_MAX_RECEIPTS_PER_SCOPE)',
    })
  }
  return {
    receipt: null,
    store: ({ resourceType, resourceId, body }) =>
      insertReceipt(tx, scope, {
        keyDigest: keyDigest(current, key),
        requestDigest: digest,
        resourceType,
        resourceId,
        body,
        retentionSeconds: request.retentionSeconds,
      }),
  }
}
