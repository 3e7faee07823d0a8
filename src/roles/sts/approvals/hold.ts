/** A human approval hold (sts §8): who may decide, until when, and in which state it is. */
import type { ApprovalTier } from '../../../policy/index.ts'

/** One declaration that asks for a human before a mint. */
export type ApprovalGate = ApprovalTier

export type ApproverClass = 'operator' | 'subject' | 'any'
export type PrivacyMode = 'identified' | 'pseudonymous' | 'anonymous'
type HoldState = 'pending' | 'approved' | 'rejected' | 'expired' | 'consumed'

/** A row of `step_up_challenges` with its state by the database clock. Times in milliseconds. */
export interface Hold {
  readonly id: string
  readonly zone_id: string
  /** Authority record id, `''` when the request had none. */
  readonly session_id: string
  readonly challenge_type: string
  readonly principal_id: string
  /** `null` for a workload's hold. */
  readonly application_id: string | null
  readonly tier: string
  readonly approver_class: ApproverClass
  readonly privacy_mode: PrivacyMode
  readonly subject_anchor: string | null
  /** Lower-case hex of the request hash. */
  readonly binding: string
  readonly expires_at: number
  /** Milliseconds since it was consumed. */
  readonly consumed_ago: number | null
  readonly consumed_authority_record_id: string | null
  readonly metadata: HoldMetadata
  readonly state: HoldState
}

export interface HoldMetadata {
  readonly requested_scopes?: readonly string[]
  readonly resources?: readonly string[]
  readonly agent_session_id?: string
  readonly agent_labels?: readonly string[]
  readonly delegation_edge_id?: string
  readonly policy_set_version_id?: string
  readonly policy_manifest_sha?: string
  readonly decision_contract_version?: string
  readonly decision_contract_sha?: string
}

/** An approved hold a request goes on with. */
export interface PresentedApproval {
  readonly hold: Hold
  /** Set when the hold was consumed moments ago: the mandate of this record is issued again. */
  readonly reissue: IssuedRecord | null
}

/** The authority record that a consumed hold went into, while it is alive. Times in milliseconds. */
export interface IssuedRecord {
  readonly id: string
  readonly issuedAt: number
  readonly expiresAt: number
}

/** RFC 3339, UTC, whole seconds. */
export function holdInstant(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString().replace('.000Z', 'Z')
}

/** What evidence tells of a hold, whoever decided it. */
type HoldFacts = Pick<
  Hold,
  | 'id'
  | 'tier'
  | 'approver_class'
  | 'privacy_mode'
  | 'binding'
  | 'expires_at'
  | 'subject_anchor'
  | 'application_id'
  | 'session_id'
  | 'metadata'
>

/** Audit metadata of a hold; the names are frozen (audit-and-events §3.2). */
export function holdMetadata(hold: HoldFacts): Readonly<Record<string, unknown>> {
  const { metadata } = hold
  return {
    challenge_id: hold.id,
    tier: hold.tier,
    approver_class: hold.approver_class,
    privacy_mode: hold.privacy_mode,
    binding: hold.binding,
    expires_at: holdInstant(hold.expires_at),
    ...(hold.subject_anchor === null ? {} : { subject_anchor: hold.subject_anchor }),
    ...(hold.application_id === null ? {} : { application_id: hold.application_id }),
    ...(hold.session_id === '' ? {} : { session_id: hold.session_id }),
    ...(metadata.agent_session_id === undefined ? {} : { agent_session_id: metadata.agent_session_id }),
    ...(metadata.delegation_edge_id === undefined ? {} : { delegation_edge_id: metadata.delegation_edge_id }),
    ...(metadata.agent_labels === undefined ? {} : { agent_labels: metadata.agent_labels }),
  }
}
