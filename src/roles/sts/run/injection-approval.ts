/** Approvals of launches (sts §14): as for mints, but without a re-issue window. */
import { type ApprovalTier, DECISION_CONTRACT_SHA, DECISION_CONTRACT_VERSION } from '../../../policy/index.ts'
import { requestBinding } from '../approvals/binding.ts'
import { type Hold, holdMetadata } from '../approvals/hold.ts'
import { interactionRequired } from '../approvals/interaction-required.ts'
import { classConflict, mergeGates } from '../approvals/merge-gates.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import type { Form } from '../form.ts'
import { accessDenied, approvalConsumed, unavailable } from '../refusal.ts'
import { consumeHold } from '../store/holds.ts'
import { denied, type Injection } from './injection.ts'

function bindingHashOf({ workload, binding, bundle }: Injection): Buffer {
  return requestBinding({
    resources: [binding.resource],
    scopes: binding.scopes,
    principal: workload.id,
    authorityRecord: '',
    session: '',
    delegation: '',
    application: '',
    policySetVersion: bundle.policySetVersionId ?? '',
    policyManifest: bundle.manifestSha,
  })
}

/** As sts §8.4, without a re-issue window. */
export async function presentHold(
  form: Form,
  injection: Injection,
  deps: ExchangeDeps,
): Promise<Hold | null> {
  const id = (form.get('approval_id') ?? form.get('challenge_id') ?? '').trim()
  if (id === '') return null
  const { workload, launch, facts } = injection
  const deny = (status: string, hold: Hold | null) =>
    denied(workload.zone_id, launch, status, { ...facts, ...(hold === null ? {} : holdMetadata(hold)) }, deps)
  const hold = await deps.approvals.find(id)
  const fits =
    hold !== null &&
    hold.challenge_type === 'human_approval' &&
    hold.zone_id === workload.zone_id &&
    hold.principal_id === workload.id &&
    hold.session_id === ''
  if (!fits) {
    deny('approval_invalid', null)
    throw accessDenied('approval does not match this request', 401)
  }
  if (hold.binding !== bindingHashOf(injection).toString('hex')) {
    const policyMoved = hold.metadata.policy_set_version_id !== (injection.bundle.policySetVersionId ?? '')
    deny(policyMoved ? 'approval_policy_changed' : 'approval_invalid', hold)
    throw accessDenied('approval does not match this request', 401)
  }
  switch (hold.state) {
    case 'approved':
      return hold
    case 'pending':
      throw interactionRequired(hold)
    case 'rejected':
      deny('approval_rejected', hold)
      throw accessDenied('approval was rejected')
    case 'expired':
      deny('approval_expired', hold)
      throw accessDenied('approval has expired', 401)
    case 'consumed':
      deny('approval_already_consumed', hold)
      throw approvalConsumed()
  }
}

/** Raises the hold the gates ask for; an approved one is used at once. */
export async function holdInjection(
  injection: Injection,
  tiers: readonly ApprovalTier[],
  deps: ExchangeDeps,
): Promise<Hold | null> {
  if (tiers.length === 0) return null
  const { workload, launch, binding, bundle, facts } = injection
  const terms = mergeGates(tiers)
  if (terms === null) {
    denied(workload.zone_id, launch, 'approval_class_conflict', facts, deps)
    throw classConflict()
  }
  const { hold, created } = await deps.approvals.ensure(
    {
      zoneId: workload.zone_id,
      principalId: workload.id,
      applicationId: null,
      recordId: '',
      binding: bindingHashOf(injection),
      subjectAnchor: null,
      metadata: {
        requested_scopes: binding.scopes,
        resources: [binding.resource],
        policy_set_version_id: bundle.policySetVersionId ?? '',
        policy_manifest_sha: bundle.manifestSha,
        decision_contract_version: DECISION_CONTRACT_VERSION,
        decision_contract_sha: DECISION_CONTRACT_SHA,
      },
    },
    terms,
  )
  if (created) {
    void deps.evidence.emit({
      zoneId: workload.zone_id,
      requestId: launch.requestId,
      type: 'step_up_issued',
      decision: 'pending',
      status: 'complete',
      metadata: { ...facts, ...holdMetadata(hold) },
    })
  }
  if (hold.state === 'approved') return hold
  if (hold.state === 'rejected') {
    denied(workload.zone_id, launch, 'approval_rejected', { ...facts, ...holdMetadata(hold) }, deps)
    throw accessDenied('approval was rejected')
  }
  throw interactionRequired(hold)
}

/** Spends the hold exactly once. */
export async function spendHold(injection: Injection, hold: Hold, deps: ExchangeDeps): Promise<void> {
  const { workload, launch, facts } = injection
  if (!(await consumeHold(deps.db, hold, null))) {
    denied(workload.zone_id, launch, 'approval_already_consumed', { ...facts, ...holdMetadata(hold) }, deps)
    throw approvalConsumed()
  }
  const accepted = await deps.evidence.emit({
    zoneId: workload.zone_id,
    requestId: launch.requestId,
    type: 'step_up_consumed',
    decision: 'consumed',
    status: 'complete',
    metadata: { ...facts, ...holdMetadata(hold) },
  })
  if (accepted === 'lost') throw unavailable('evidence cannot be kept')
}
