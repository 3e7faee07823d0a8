/** Step I: gates without an approval raise a hold, or go on with one that was approved meanwhile (sts §8.3). */
import { DECISION_CONTRACT_SHA, DECISION_CONTRACT_VERSION } from '../../../policy/index.ts'
import { holdMetadata } from '../approvals/hold.ts'
import { interactionRequired } from '../approvals/interaction-required.ts'
import { classConflict, mergeGates } from '../approvals/merge-gates.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import { type Exchange, requireProof } from '../exchange-state.ts'
import { accessDenied } from '../refusal.ts'
import type { HoldRequest } from '../store/holds.ts'
import { exchangeBinding, principalOf, recordOf } from './present-approval.ts'

export async function holdForApproval(x: Exchange, deps: ExchangeDeps): Promise<void> {
  if (x.gates.length === 0 || x.approval !== null) return
  requireProof(x)
  const terms = mergeGates(x.gates)
  if (terms === null) {
    deps.evidence.denied(x, 'approval_class_conflict', {})
    throw classConflict()
  }
  const { hold, created } = await deps.approvals.ensure(await holdRequest(x, deps), terms)
  if (created) {
    void deps.evidence.emit({
      zoneId: x.zoneId,
      requestId: x.request.requestId,
      type: 'step_up_issued',
      decision: 'pending',
      status: 'complete',
      metadata: holdMetadata(hold),
    })
  }
  if (hold.state === 'approved') {
    x.approval = { hold, reissue: null }
    return
  }
  if (hold.state === 'rejected') {
    deps.evidence.denied(x, 'approval_rejected', holdMetadata(hold))
    throw accessDenied('approval was rejected')
  }
  throw interactionRequired(hold)
}

async function holdRequest(x: Exchange, deps: ExchangeDeps): Promise<HoldRequest> {
  const binding = await exchangeBinding(x, deps)
  return {
    zoneId: x.zoneId,
    principalId: principalOf(x),
    applicationId: x.application.id,
    recordId: recordOf(x),
    binding,
    subjectAnchor: subjectAnchor(x),
    metadata: {
      requested_scopes: x.request.requestedScopes,
      resources: x.request.resources,
      ...(x.agentSessionId === null ? {} : { agent_session_id: x.agentSessionId }),
      ...(x.session === null || x.session.labels.length === 0 ? {} : { agent_labels: x.session.labels }),
      ...(x.delegationEdgeId === null ? {} : { delegation_edge_id: x.delegationEdgeId }),
      policy_set_version_id: x.bundle?.policySetVersionId ?? '',
      policy_manifest_sha: x.bundle?.manifestSha ?? '',
      decision_contract_version: DECISION_CONTRACT_VERSION,
      decision_contract_sha: DECISION_CONTRACT_SHA,
    },
  }
}

/** The person on whose behalf the request is made, if there is one. */
function subjectAnchor(x: Exchange): string | null {
  if (x.presented?.subType === 'user') return x.presented.sub
  const record = x.session?.record ?? null
  return record?.session_type === 'user' ? record.subject_id : null
}
