/** Deciding a human hold as an operator (control-api §7.16). Decisions are final; the evidence commits with them. */
import { errorOf } from '../../platform/http/errors/registry.ts'
import { holdMetadata } from '../sts/port.ts'
import { type Control, reading, writing } from './control.ts'
import { auditEvent } from './events.ts'
import { found } from './not-found.ts'
import { attributionOf } from './principal.ts'
import type { Call } from './route.ts'
import { type Approval, decideApproval, findApproval } from './store/approvals.ts'

function evidenceOf(approval: Approval, reason: string | null): Record<string, unknown> {
  const facts = holdMetadata({
    ...approval,
    session_id: approval.session_id ?? '',
    tier: approval.tier ?? '',
    binding: approval.binding ?? '',
    expires_at: approval.expires_at.getTime(),
    metadata: approval.metadata_json,
  })
  return {
    ...facts,
    approver_plane: 'operator',
    approver_subject_id: approval.approver_subject_id,
    ...(reason === null ? {} : { reason }),
  }
}

/** Why the guarded update found nothing to decide. */
async function refusal(control: Control, call: Call<unknown, unknown>) {
  const approval = found(
    await reading(control, call, (db) => findApproval(db, call.zoneId, call.id)),
    'approval_not_found',
  )
  if (approval.approver_class === 'subject') return errorOf('subject_approval_required')
  return errorOf('approval_not_decidable', { body: { state: approval.state } })
}

/** Throws 403 `subject_approval_required`; 404; 409 `approval_not_decidable` with `state`. */
export async function decide(
  control: Control,
  call: Call<unknown, unknown>,
  approve: boolean,
  reason: string | null,
) {
  const decided = await writing(control, call, async (tx) => {
    const approver = attributionOf(call.principal)
    const approval = await decideApproval(tx, call.zoneId, call.id, { approve, approver, reason })
    if (approval === null) return null
    await control.outbox.enqueue(tx, 'control', [
      auditEvent(
        {
          zoneId: call.zoneId,
          eventType: 'step_up_decided',
          decision: approve ? 'approved' : 'rejected',
          requestId: call.requestId,
          metadata: evidenceOf(approval, reason),
        },
        control.keys.audit,
      ),
    ])
    return approval
  })
  if (decided === null) throw await refusal(control, call)
  return {
    id: decided.id,
    state: approve ? ('approved' as const) : ('rejected' as const),
    satisfied_at: decided.satisfied_at,
    rejected_at: decided.rejected_at,
    approver_subject_id: decided.approver_subject_id,
  }
}
