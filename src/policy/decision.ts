/**
 * The answer of the fixed decision function (sts §6.5), and the readers the
 * token service needs: the first reason of a denial, the approval gates of an allow.
 */

/** Why a request was denied (sts §6.4). */
export type DenyReason =
  | 'no_active_policy_set'
  | 'restriction_active'
  | 'no_rule_matched'
  | 'malformed_risk_data'
  | 'malformed_approval_data'
  | 'resource_not_granted'
  | 'delegation_scope_exceeded'
  | 'confinement_violation'
  | 'role_scope_mismatch'
  | 'mandate_target_mismatch'

/** One declaration of `approval_tiers`, as the document wrote it (defaults are not filled in). */
export interface ApprovalTier {
  readonly tier: string
  readonly approver?: 'operator' | 'subject' | 'any'
  readonly ttl_seconds?: number
  readonly privacy?: 'identified' | 'pseudonymous' | 'anonymous'
}

export interface RiskedScope {
  readonly scope: string
  readonly tier: string
}

export type Diagnostic =
  | { readonly reason: DenyReason }
  | {
      readonly step_up_required: { readonly type: 'human_approval'; readonly tiers: readonly ApprovalTier[] }
    }
  | { readonly risk: readonly RiskedScope[] }
  | { readonly error: string }

export interface DeterminingPolicy {
  readonly policy: string
}

/** A decision that was reached. Only this may ever grant anything. */
export interface CompleteDecision {
  readonly decision: 'allow' | 'deny'
  readonly evaluation_status: 'complete'
  readonly determining_policies: readonly DeterminingPolicy[]
  readonly diagnostics: readonly Diagnostic[]
}

/** No decision was reached: the caller answers 503 `policy_eval_failed` and audits the diagnostics. */
export interface FailedDecision {
  readonly decision: 'error'
  readonly evaluation_status: 'policy_eval_failed'
  readonly determining_policies: readonly []
  readonly diagnostics: readonly [{ readonly error: string }]
}

/** Frozen and possibly shared between calls: never write to it. */
export type Decision = CompleteDecision | FailedDecision

/** The reason of a denial, `undefined` for anything else. */
export function denyReason(decision: Decision): DenyReason | undefined {
  if (decision.decision !== 'deny') return undefined
  const [first] = decision.diagnostics
  return first !== undefined && 'reason' in first ? first.reason : undefined
}

/** The approval declarations an allow is conditional on; empty when none (sts §8.3). */
export function approvalGates(decision: Decision): readonly ApprovalTier[] {
  for (const diagnostic of decision.diagnostics) {
    if ('step_up_required' in diagnostic) return diagnostic.step_up_required.tiers
  }
  return noGates
}

const noGates: readonly ApprovalTier[] = Object.freeze([])
