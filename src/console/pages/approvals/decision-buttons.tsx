/** Approve and Reject, for whoever may; a hold that only the user may decide says so instead. */
import { useMay } from '../../state/session.tsx'
import { Button } from '../../ui/basics.tsx'
import type { Approval } from './approval.ts'
import type { Verb } from './decision-dialog.tsx'

interface DecisionButtonsProps {
  readonly approval: Approval
  readonly onChoose: (verb: Verb) => void
}

export function DecisionButtons({ approval, onChoose }: DecisionButtonsProps) {
  const may = useMay('approve')
  if (approval.state !== 'pending') return null
  if (approval.approver_class === 'subject')
    return <span class="hint why">Only the user for whom the agent acts can decide this.</span>
  if (!may) return null
  return (
    <div class="actions">
      <Button kind="primary" onClick={() => onChoose('approve')}>
        Approve
      </Button>
      <Button kind="danger" onClick={() => onChoose('reject')}>
        Reject
      </Button>
    </div>
  )
}
