/**
 * Step F: the approval a request presents was given for exactly this request and may
 * be used now (sts §8.4). One answer for every mismatch: an id alone proves nothing.
 */
import { type BindingFacts, requestBinding } from '../approvals/binding.ts'
import { type Hold, holdMetadata, type PresentedApproval } from '../approvals/hold.ts'
import { interactionRequired } from '../approvals/interaction-required.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import type { Exchange } from '../exchange-state.ts'
import { accessDenied, approvalConsumed } from '../refusal.ts'
import { findIssuedRecord } from '../store/holds.ts'
import { bundleInForce } from './decide-resources.ts'

/** A lost answer may be asked for again this long after the hold was spent. */
const reissueWindowMs = 2 * 60_000

export async function presentApproval(x: Exchange, deps: ExchangeDeps): Promise<void> {
  const { approvalId } = x.request
  if (approvalId === null) return
  const hold = await deps.approvals.find(approvalId)
  const binding = await exchangeBinding(x, deps)
  if (hold === null || !matches(hold, x, binding)) {
    deps.evidence.denied(x, 'approval_invalid', ownMetadata(hold, x))
    throw accessDenied('approval does not match this request', 401)
  }
  x.approval = await usable(x, hold, deps)
}

/** The binding of this exchange under the bundle that decides it. */
export async function exchangeBinding(x: Exchange, deps: ExchangeDeps): Promise<Buffer> {
  const bundle = x.bundle ?? (await bundleInForce(x, deps))
  const facts: BindingFacts = {
    resources: x.request.resources,
    scopes: x.request.requestedScopes,
    principal: principalOf(x),
    authorityRecord: recordOf(x),
    session: x.agentSessionId ?? '',
    delegation: x.delegationEdgeId ?? '',
    application: x.application.id,
    policySetVersion: bundle.policySetVersionId ?? '',
    policyManifest: bundle.manifestSha,
  }
  return requestBinding(facts)
}

export function principalOf(x: Exchange): string {
  return x.presented?.sub ?? x.application.id
}

export function recordOf(x: Exchange): string {
  return x.recordId ?? x.request.sessionId ?? ''
}

function matches(hold: Hold, x: Exchange, binding: Buffer): boolean {
  return (
    hold.challenge_type === 'human_approval' &&
    hold.zone_id === x.zoneId &&
    hold.principal_id === principalOf(x) &&
    hold.session_id === recordOf(x) &&
    hold.binding === binding.toString('hex')
  )
}

/** What evidence tells of a hold that does not match: nothing, unless it is the caller's own. */
function ownMetadata(hold: Hold | null, x: Exchange) {
  const own = hold !== null && hold.zone_id === x.zoneId && hold.application_id === x.application.id
  return own ? holdMetadata(hold) : {}
}

async function usable(x: Exchange, hold: Hold, deps: ExchangeDeps): Promise<PresentedApproval> {
  switch (hold.state) {
    case 'approved':
      return { hold, reissue: null }
    case 'pending':
      throw interactionRequired(hold)
    case 'rejected':
      deps.evidence.denied(x, 'approval_rejected', holdMetadata(hold))
      throw accessDenied('approval was rejected')
    case 'expired':
      deps.evidence.denied(x, 'approval_expired', holdMetadata(hold))
      throw accessDenied('approval has expired', 401)
    case 'consumed':
      return reissuable(x, hold, deps)
  }
}

async function reissuable(x: Exchange, hold: Hold, deps: ExchangeDeps): Promise<PresentedApproval> {
  const recordId = hold.consumed_authority_record_id
  const recent = hold.consumed_ago !== null && hold.consumed_ago < reissueWindowMs
  const reissue = recent && recordId !== null ? await findIssuedRecord(deps.db, x.zoneId, recordId) : null
  if (reissue === null || reissue.expiresAt - x.snapshot.now < 1000) {
    deps.evidence.denied(x, 'approval_already_consumed', holdMetadata(hold))
    throw approvalConsumed()
  }
  return { hold, reissue }
}
