/**
 * The names and limits of the authority contract (sts §6, §16): what a data
 * document may be called, which schema an input follows, what an answer looks like.
 */
import { createHash } from 'node:crypto'

/** Schema version of the decision input and of every stored document (sts §6.1). */
export const POLICY_SCHEMA_VERSION = '2026-05-20'

/** The one package an authority document may declare. */
export const CONTRACT_PACKAGE = 'caracal.authz'

/** The six data documents of sts §6.2, the only rules an authority document may define. */
export const dataDocumentNames = [
  'app_ids',
  'grants',
  'confinement',
  'restrict',
  'risk',
  'approval_tiers',
] as const
export type DataDocumentName = (typeof dataDocumentNames)[number]

/** Longest accepted document, in UTF-16 units (sts §16.3). */
export const MAX_DOCUMENT_CHARS = 262_144

/** `output_contract` of `POST /v1/policies/validate` (control-api §7.10). */
export const OUTPUT_CONTRACT = {
  package: CONTRACT_PACKAGE,
  rule: 'result',
  decision: ['allow', 'deny'],
  evaluation_status: ['complete'],
} as const

/** Version of the fixed decision rules; part of every approval binding (sts §8.6). */
export const DECISION_CONTRACT_VERSION = '2026-07-12'

/**
 * The rules of sts §6.4 in their order. The text is what `DECISION_CONTRACT_SHA`
 * stands for: whoever changes a rule in `decide.ts` changes its line here, and
 * approvals given under the old rules stop matching.
 */
const decisionRules = [
  '1 restricted deny restriction_active',
  '2 bootstrap owns allow caracal-bootstrap',
  '2b bootstrap deny no_rule_matched',
  '3 delegated risk_malformed deny malformed_risk_data',
  '4 delegated tiers_malformed deny malformed_approval_data',
  '5 delegated not owns deny resource_not_granted',
  '6 delegated not narrowed deny delegation_scope_exceeded',
  '7 delegated not confined deny confinement_violation',
  '8 delegated not role deny role_scope_mismatch',
  '9 delegated allow caracal-*-mint',
  '10 workload risk_malformed deny malformed_risk_data',
  '10b workload tiers_malformed deny malformed_approval_data',
  '11 workload allow caracal-workload-mint',
  '12 mandate not targeted deny mandate_target_mismatch',
  '13 mandate not owns deny resource_not_granted',
  '14 mandate not role deny role_scope_mismatch',
  '15 mandate allow caracal-*-use',
  '16 deny no_rule_matched',
]

/** Lower-case hex SHA-256 of the decision rules in force. */
export const DECISION_CONTRACT_SHA = createHash('sha256')
  .update(`${DECISION_CONTRACT_VERSION}\n${decisionRules.join('\n')}`)
  .digest('hex')
