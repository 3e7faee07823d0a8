/**
 * Idempotent creation (coordinator §5): a key is answered once, a repeat gets the stored
 * answer, a different request under the same key is refused. Failed requests store nothing.
 */
import { createHash, createHmac } from 'node:crypto'
import type { Context } from 'hono'
import { canonicalJson } from '../../platform/canonical-json.ts'
import type { Tx } from '../../platform/db/port.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { incomingOf } from '../../platform/http/incoming.ts'
import type { CoordinatorContext } from './deps.ts'
import { refuse } from './refusal.ts'
import {
  claimReceipt,
  insertReceipts,
  type NewReceipt,
  type Receipt,
  type ReceiptScope,
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
  store(result: Result): void
}

const invalidKey = 'An idempotency key is 1 to 255 bytes without control characters or surrounding spaces'

/** The key if it is well-formed. Throws 400 `idempotency_key_invalid`. */
export function checkIdempotencyKey(deps: Pick<CoordinatorContext, 'counts'>, key: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the rule is about control characters.
  const valid = key !== '' && key === key.trim() && !/[\u0000-\u001f\u007f]/.test(key)
  if (valid && Buffer.byteLength(key) <= 255) return key
  deps.counts.idempotency.invalid += 1
  throw refuse('idempotency_key_invalid', { message: invalidKey })
}

/**
 * Reads `Idempotency-Key`; null without one. Throws 400 for one that is malformed, and for more than
 * one: HTTP libraries join repeated headers, so the raw ones are counted.
 */
export function readIdempotencyKey(deps: Pick<CoordinatorContext, 'counts'>, c: Context): string | null {
  const header = c.req.header('idempotency-key')
  if (header === undefined) return null
  const raw = incomingOf(c)?.rawHeaders ?? []
  if (raw.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'idempotency-key').length > 1) {
    deps.counts.idempotency.invalid += 1
    throw refuse('idempotency_key_multiple', { message: 'Idempotency-Key must be sent once' })
  }
  return checkIdempotencyKey(deps, textOf(header))
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** HTTP hands a header over as one character for each byte; what is not UTF-8 means what it looks like. */
function textOf(header: string): string {
  try {
    return strictUtf8.decode(Buffer.from(header, 'latin1'))
  } catch {
    return header
  }
}

export const keyDigest = (hmacKey: Buffer, key: string): Buffer =>
  createHmac('sha256', hmacKey).update(digestPrefix).update(key).digest()

export const lockHex = (key: string): string =>
  createHash('sha256').update(lockPrefix).update(key).digest('hex')

export const requestDigest = (fingerprint: Readonly<Record<string, unknown>>): Buffer =>
  createHash('sha256').update(canonicalJson(fingerprint)).digest()

/** Longest stored answer; Postgres writes JSON with more spaces than we do. */
const longestAnswer = 60_000

/** A request's key as the store knows it. */
export interface StoredKey {
  readonly scope: ReceiptScope
  /** Name of the key's lock. */
  readonly lock: string
  /** Of the keys the digest may have been made with, the current one first. */
  readonly digests: readonly [Buffer, ...Buffer[]]
  readonly requestDigest: Buffer
  readonly retentionSeconds: number
  readonly maxReceipts: number
}

export function storedKey(
  { keys }: Pick<CoordinatorContext, 'keys'>,
  { operation, zoneId, scopeId, key, fingerprint, retentionSeconds, maxReceipts }: IdempotentRequest,
): StoredKey {
  const [current, ...previous] = keys.idempotency.accepted
  if (current === undefined) throw new Error('IDEMPOTENCY_HMAC_KEY is not configured')
  return {
    scope: { operation, zoneId, scopeId },
    lock: `${operation}:${zoneId}:${scopeId}:${lockHex(key)}`,
    digests: [keyDigest(current, key), ...previous.map((other) => keyDigest(other, key))],
    requestDigest: requestDigest(fingerprint),
    retentionSeconds,
    maxReceipts,
  }
}

/**
 * The earlier answer to the same request, or null when there is none and one may be stored. Throws 409
 * `idempotency_key_conflict` for another request under the same key and 429 when the scope holds too many receipts.
 */
export function earlierAnswer(
  { counts }: Pick<CoordinatorContext, 'counts'>,
  key: StoredKey,
  { receipt, live }: { readonly receipt: Receipt | null; readonly live: number },
): Receipt | null {
  if (receipt !== null) {
    if (receipt.request_digest.equals(key.requestDigest)) {
      counts.idempotency.replayed += 1
      return receipt
    }
    counts.idempotency.conflicts += 1
    throw refuse('idempotency_key_conflict', {
      message: 'This Idempotency-Key was used for a different request',
    })
  }
  if (live >= key.maxReceipts) {
    throw refuse('idempotency_receipt_limit_exceeded', {
      message: 'Too many live idempotency keys (IDEMPOTENCY_MAX_RECEIPTS_PER_SCOPE)',
    })
  }
  return null
}

interface Result {
  readonly resourceType: string
  readonly resourceId: string
  readonly body: unknown
}

/** The receipt of a result. Throws 413 for an answer that is too long to be kept. */
export function receiptOf(key: StoredKey, { resourceType, resourceId, body }: Result): NewReceipt {
  const answer = JSON.stringify(body)
  if (Buffer.byteLength(answer) > longestAnswer) {
    throw errorOf('payload_too_large', { message: 'The answer is too large to be kept for a repeat' })
  }
  const { scope, digests, requestDigest, retentionSeconds } = key
  return { scope, keyDigest: digests[0], requestDigest, resourceType, resourceId, answer, retentionSeconds }
}

/** Takes the key's lock and looks for an earlier answer; see `earlierAnswer`. One round trip. */
export async function claimKey(
  deps: Pick<CoordinatorContext, 'keys' | 'counts' | 'receiptCounts'>,
  tx: Tx,
  request: IdempotentRequest,
): Promise<Claim> {
  const { counts, receiptCounts } = deps
  const key = storedKey(deps, request)
  const known = receiptCounts.known(key.scope, key.maxReceipts)
  const claimed = await claimReceipt(tx, key.scope, {
    lock: key.lock,
    digests: key.digests,
    most: known === null ? key.maxReceipts : 0,
  })
  counts.idempotency.expired += claimed.expired
  if (known === null) receiptCounts.counted(key.scope, claimed.live)
  const receipt = earlierAnswer(deps, key, { ...claimed, live: known ?? claimed.live })
  if (receipt !== null) return { receipt, store: () => undefined }
  return {
    receipt: null,
    store: (result) => {
      insertReceipts(tx, [receiptOf(key, result)])
      tx.onCommit(() => {
        counts.idempotency.created += 1
        receiptCounts.added(key.scope, 1)
      })
    },
  }
}

/** The stored answer, unless what it tells of is over: 409 `idempotency_result_inactive`. */
export function unlessInactive(
  receipt: Receipt,
  live: boolean,
  what: 'session' | 'delegation',
): Record<string, unknown> {
  if (live) return receipt.response_json
  throw refuse('idempotency_result_inactive', {
    message: `The ${what} this Idempotency-Key created is not live any more`,
  })
}
