/** The receipt of one event (docs/audit-receipts.md). What is here is frozen: other languages read it. */
import type { JWK } from 'jose'
import { canonicalJson } from '../../../platform/canonical-json.ts'
import type { StoredForm } from '../canonical.ts'

export const receiptFormat = 'caracal-audit-receipt/1'
export const headType = 'caracal-audit-head+jwt'

/** The event as it was hashed: JSON members as the text Postgres keeps, the instant with microseconds. */
export interface ReceiptEvent {
  readonly id: string
  readonly zone_id: string
  readonly event_type: string
  readonly request_id: string
  readonly decision: string
  readonly policy_set_id: string
  readonly policy_set_version_id: string
  readonly manifest_sha: string
  readonly evaluation_status: string
  readonly determining_policies_json: string | null
  readonly diagnostics_json: string | null
  readonly metadata_json: string | null
  readonly occurred_at: string
}

export interface ReceiptChain {
  readonly chain_seq: number
  readonly content_sha256: string
  readonly prev_content_sha256: string | null
  /** Null while it was the newest. */
  readonly next_content_sha256: string | null
}

export interface Receipt {
  readonly format: typeof receiptFormat
  readonly event: ReceiptEvent
  readonly chain: ReceiptChain
  readonly inclusion: {
    readonly leaf_index: number
    readonly tree_size: number
    /** Lower-case hex, from the leaf up. */
    readonly path: readonly string[]
  }
  /** Compact JWS of the signed tree head. */
  readonly head: string
  /** The public key that signed; `kid` is its RFC 7638 thumbprint. */
  readonly key: JWK
  readonly issued_at: string
  /** ES256 over the canonical JSON of all other members, base64url. */
  readonly signature: string
}

/** Claims of a signed tree head. */
export interface TreeHead {
  readonly zone_id: string
  readonly tree_size: number
  readonly root_sha256: string
  /** `content_sha256` of the last link the tree covers. */
  readonly chain_sha256: string
  /** ISO 8601. */
  readonly signed_at: string
}

/** What a leaf is made of: the link's place, content and predecessor. */
export function leafData(zoneId: string, link: Omit<ReceiptChain, 'next_content_sha256'>): string {
  return canonicalJson({
    chain_seq: link.chain_seq,
    content_sha256: link.content_sha256,
    prev_content_sha256: link.prev_content_sha256,
    zone_id: zoneId,
  })
}

export function receiptEvent(form: StoredForm): ReceiptEvent {
  return {
    id: form.id,
    zone_id: form.zoneId,
    event_type: form.eventType,
    request_id: form.requestId,
    decision: form.decision,
    policy_set_id: form.policySetId,
    policy_set_version_id: form.policySetVersionId,
    manifest_sha: form.manifestSha,
    evaluation_status: form.evaluationStatus,
    determining_policies_json: form.determiningPolicies,
    diagnostics_json: form.diagnostics,
    metadata_json: form.metadata,
    occurred_at: form.occurredAt.text,
  }
}

/** Text the receipt's signature covers. */
export function signedText(receipt: Omit<Receipt, 'signature'>): string {
  return canonicalJson(receipt)
}
