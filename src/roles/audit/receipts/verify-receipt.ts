/**
 * Checks a receipt with nothing but its text and, where the reader has it, the zone's key set. No server,
 * no clock. Every step of docs/audit-receipts.md §4; a single changed byte fails one of them.
 */
import { type KeyObject, verify } from 'node:crypto'
import type { JWK } from 'jose'
import { canonicalJson } from '../../../platform/canonical-json.ts'
import { decodeBase64url, parseCompact, verifySignature } from '../../../platform/jose/compact.ts'
import { publicJwkEntries } from '../../../platform/jose/public-jwk.ts'
import { importVerificationJwk } from '../../../platform/jose/zone-key.ts'
import * as v from '../../../platform/schema.ts'
import { contentHash, parseInstant } from '../canonical.ts'
import { keyThumbprint } from './key-thumbprint.ts'
import { leafHash, rootFromPath } from './merkle.ts'
import { headType, leafData, type Receipt, type ReceiptEvent, receiptFormat } from './receipt-format.ts'

type ReceiptProblem =
  | 'malformed'
  | 'not_canonical'
  | 'key_invalid'
  | 'key_unknown'
  | 'signature_invalid'
  | 'content_mismatch'
  | 'head_invalid'
  | 'not_included'

export type ReceiptVerdict =
  | {
      readonly ok: true
      readonly receipt: Receipt
      /** True when the key is one of the given key set; false when only the receipt vouches for it. */
      readonly pinned: boolean
      readonly kid: string
    }
  | { readonly ok: false; readonly problem: ReceiptProblem }

const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const jsonText = v.nullable(v.string())

const receiptSchema = v.strictObject({
  format: v.literal(receiptFormat),
  event: v.strictObject({
    id: v.string(),
    zone_id: v.string(),
    event_type: v.string(),
    request_id: v.string(),
    decision: v.string(),
    policy_set_id: v.string(),
    policy_set_version_id: v.string(),
    manifest_sha: v.string(),
    evaluation_status: v.string(),
    determining_policies_json: jsonText,
    diagnostics_json: jsonText,
    metadata_json: jsonText,
    occurred_at: v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)),
  }),
  chain: v.strictObject({
    chain_seq: v.pipe(count, v.minValue(1)),
    content_sha256: sha256,
    prev_content_sha256: v.nullable(sha256),
    next_content_sha256: v.nullable(sha256),
  }),
  inclusion: v.strictObject({ leaf_index: count, tree_size: count, path: v.array(sha256) }),
  head: v.string(),
  key: v.strictObject(publicJwkEntries),
  issued_at: v.string(),
  signature: v.string(),
})

const headSchema = v.strictObject({
  zone_id: v.string(),
  tree_size: count,
  root_sha256: sha256,
  chain_sha256: sha256,
  signed_at: v.string(),
})

/** `keys`: the zone's published key set; null trusts the key that the receipt carries, and says so. */
export function verifyReceipt(text: string, keys: readonly JWK[] | null): ReceiptVerdict {
  const refuse = (problem: ReceiptProblem): ReceiptVerdict => ({ ok: false, problem })
  const receipt = parse(text)
  if (receipt === null) return refuse('malformed')
  if (!isCanonical(text, receipt)) return refuse('not_canonical')

  const imported = importVerificationJwk(receipt.key)
  if (imported === null || keyThumbprint(receipt.key) !== receipt.key.kid) return refuse('key_invalid')
  const published = keys?.find((key) => key.kid === receipt.key.kid)
  if (keys !== null && (published?.x !== receipt.key.x || published?.y !== receipt.key.y))
    return refuse('key_unknown')

  if (!isSigned(receipt, imported.key)) return refuse('signature_invalid')
  if (contentOf(receipt.event) !== receipt.chain.content_sha256) return refuse('content_mismatch')
  const root = signedRoot(receipt, imported.key)
  if (root === null) return refuse('head_invalid')
  if (!isIncluded(receipt, root)) return refuse('not_included')
  return { ok: true, receipt, pinned: keys !== null, kid: imported.kid }
}

function parse(text: string): Receipt | null {
  try {
    const result = v.safeParse(receiptSchema, JSON.parse(text))
    return result.success ? result.output : null
  } catch {
    return null
  }
}

/** One spelling per receipt: what was signed is what is in the file, to the byte. A final line feed is allowed. */
function isCanonical(text: string, receipt: Receipt): boolean {
  try {
    return canonicalJson(receipt) === text.replace(/\n$/, '')
  } catch {
    return false
  }
}

function isSigned({ signature, ...signed }: Receipt, key: KeyObject): boolean {
  const bytes = decodeBase64url(signature)
  if (bytes?.length !== 64) return false
  return verify(
    'sha256',
    Buffer.from(canonicalJson(signed), 'utf8'),
    { key, dsaEncoding: 'ieee-p1363' },
    bytes,
  )
}

/** `content_sha256` of the event in the receipt; null when its instant is none. */
function contentOf(event: ReceiptEvent): string | null {
  const occurredAt = parseInstant(event.occurred_at)
  if (occurredAt === null) return null
  return contentHash({
    id: event.id,
    zoneId: event.zone_id,
    eventType: event.event_type,
    requestId: event.request_id,
    decision: event.decision,
    policySetId: event.policy_set_id,
    policySetVersionId: event.policy_set_version_id,
    manifestSha: event.manifest_sha,
    evaluationStatus: event.evaluation_status,
    determiningPolicies: event.determining_policies_json,
    diagnostics: event.diagnostics_json,
    metadata: event.metadata_json,
    occurredAt,
  })
}

/** The root of the head, when the head is signed by the same key and speaks of this zone and tree. */
function signedRoot(receipt: Receipt, key: KeyObject): string | null {
  const jws = parseCompact(receipt.head)
  if (jws === null || jws.header.typ !== headType || jws.header.kid !== receipt.key.kid) return null
  if (!verifySignature(jws, key)) return null
  const head = v.safeParse(headSchema, jws.claims)
  if (!head.success) return null
  const { zone_id: zoneId, tree_size: size, root_sha256: root } = head.output
  return zoneId === receipt.event.zone_id && size === receipt.inclusion.tree_size ? root : null
}

function isIncluded({ event, chain, inclusion }: Receipt, root: string): boolean {
  if (inclusion.leaf_index !== chain.chain_seq - 1 || inclusion.leaf_index >= inclusion.tree_size)
    return false
  const leaf = leafHash(leafData(event.zone_id, chain))
  const path = inclusion.path.map((hash) => Buffer.from(hash, 'hex'))
  return rootFromPath(leaf, inclusion.leaf_index, inclusion.tree_size, path)?.toString('hex') === root
}
