/** Makes decisions. Those without request-specific diagnostics are frozen and shared. */
import type { CompleteDecision, DenyReason, Diagnostic, FailedDecision } from './decision.ts'

const none: readonly [] = Object.freeze([])

/** An allow without diagnostics. */
export function allow(policy: string): CompleteDecision {
  return Object.freeze({
    decision: 'allow',
    evaluation_status: 'complete',
    determining_policies: Object.freeze([Object.freeze({ policy })]),
    diagnostics: none,
  })
}

/** The same allow with the diagnostics of this request, which must be a mint (sts §6.5). */
export function allowWith(decision: CompleteDecision, diagnostics: readonly Diagnostic[]): CompleteDecision {
  return Object.freeze({ ...decision, diagnostics: Object.freeze(diagnostics) })
}

const denials = new Map<DenyReason, CompleteDecision>()

export function deny(reason: DenyReason): CompleteDecision {
  const made = denials.get(reason)
  if (made !== undefined) return made
  const denial: CompleteDecision = Object.freeze({
    decision: 'deny',
    evaluation_status: 'complete',
    determining_policies: none,
    diagnostics: Object.freeze([Object.freeze({ reason })]),
  })
  denials.set(reason, denial)
  return denial
}

export function failed(error: string): FailedDecision {
  return Object.freeze({
    decision: 'error',
    evaluation_status: 'policy_eval_failed',
    determining_policies: none,
    diagnostics: Object.freeze([Object.freeze({ error })] as const),
  })
}
