import { api, inZone } from '../../api.ts'
import { Dialog } from '../../ui/dialog.tsx'
import { Form, TextArea, type Values } from '../../ui/form.tsx'
import { type Approval, resourcesOf, scopesOf } from './approval.ts'

export type Verb = 'approve' | 'reject'

interface DecisionDialogProps {
  readonly zoneId: string
  readonly approval: Approval
  readonly verb: Verb
  readonly onDecided: () => void
  readonly onClose: () => void
}

const longestReason = 500
const words = {
  approve: {
    title: 'Approve this request',
    action: 'Approve',
    effect: 'The agent gets one mandate for exactly this. The approval cannot be used for anything else.',
  },
  reject: {
    title: 'Reject this request',
    action: 'Reject',
    effect: 'The agent is refused, also when it asks again while the window is open.',
  },
} as const

export function DecisionDialog({ zoneId, approval, verb, onDecided, onClose }: DecisionDialogProps) {
  const { title, action, effect } = words[verb]
  const decide = async (values: Values) => {
    const reason = values.optional('reason')
    if (reason !== undefined && reason.length > longestReason)
      throw new Error(`The reason is longer than ${longestReason} characters.`)
    await api.post(
      inZone(zoneId, `/approvals/${approval.id}/${verb}`),
      reason === undefined ? {} : { reason },
    )
    onClose()
    onDecided()
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <p>
        <strong>{scopesOf(approval).join(', ')}</strong> on {resourcesOf(approval).join(', ')}. {effect} A
        decision is final.
      </p>
      <Form action={action} onSubmit={decide} onCancel={onClose}>
        <TextArea
          name="reason"
          label="Reason (optional)"
          rows={3}
          hint={`Kept in the ledger with your name. ${longestReason} characters at most.`}
        />
      </Form>
    </Dialog>
  )
}
