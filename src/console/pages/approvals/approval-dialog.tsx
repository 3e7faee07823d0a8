/** One hold with all that helps to decide it. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { Link } from '../../router.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Facts, Id, Json, Notice, Time } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { liveMs } from '../../ui/feed.tsx'
import { counted } from '../../ui/format.ts'
import { Named, type Names } from '../../ui/names.tsx'
import { type Approval, classNames, labelsOf, resourcesOf, scopesOf, tones } from './approval.ts'
import { Approver } from './approver.tsx'
import { DecisionButtons } from './decision-buttons.tsx'
import { DecisionDialog, type Verb } from './decision-dialog.tsx'
import { Window } from './window.tsx'

interface ApprovalDialogProps {
  readonly zoneId: string
  readonly id: string
  readonly names: Names
  readonly onDecided: () => void
  readonly onClose: () => void
}

export function ApprovalDialog({ zoneId, id, names, onDecided, onClose }: ApprovalDialogProps) {
  const path = inZone(zoneId, `/approvals/${encodeURIComponent(id)}`)
  const found = useData(path, (signal) => api.get<Approval>(path, signal), { refreshMs: liveMs })
  const [verb, setVerb] = useState<Verb>()
  const decided = () => {
    found.reload()
    onDecided()
  }
  return (
    <Dialog title="Approval" side onClose={onClose}>
      <Async of={found}>
        {(approval) => (
          <>
            <DecisionButtons approval={approval} onChoose={setVerb} />
            {verb !== undefined && (
              <DecisionDialog
                zoneId={zoneId}
                approval={approval}
                verb={verb}
                onDecided={decided}
                onClose={() => setVerb(undefined)}
              />
            )}
            <Details approval={approval} zoneId={zoneId} names={names} />
          </>
        )}
      </Async>
    </Dialog>
  )
}

interface DetailsProps {
  readonly approval: Approval
  readonly zoneId: string
  readonly names: Names
}

function Details({ approval, zoneId, names }: DetailsProps) {
  const { metadata_json: metadata, state } = approval
  const session = textOf(metadata.agent_session_id)
  return (
    <>
      <Facts
        of={{
          State: <Badge tone={tones[state]}>{state}</Badge>,
          Window: <Window approval={approval} />,
          Scopes: scopesOf(approval).join(', '),
          Resource: resourcesOf(approval).join(', '),
          Application: approval.application_id && <Named id={approval.application_id} names={names} />,
          Principal: (
            <>
              <Named id={approval.principal_id} names={names} />
              {approval.principal_federated && ' (federated user)'}
            </>
          ),
          Session: session && (
            <Link to={`/zones/${zoneId}/sessions/${session}`}>
              <Id value={session} />
            </Link>
          ),
          Labels: labelsOf(approval).join(', '),
          Tier: approval.tier,
          'Decided by': classNames[approval.approver_class],
          'User it is held for': approval.subject_anchor ?? undefined,
          Privacy: approval.privacy_mode,
          Asked: <Time at={approval.created_at} />,
          'Before this one': `${counted(approval.prior_approved, 'approval')}, ${counted(approval.prior_rejected, 'rejection')} of this principal`,
          Approved: approval.satisfied_at ? <Time at={approval.satisfied_at} /> : undefined,
          Rejected: approval.rejected_at ? <Time at={approval.rejected_at} /> : undefined,
          Used: approval.consumed_at ? <Time at={approval.consumed_at} /> : undefined,
          By:
            approval.approver_subject_id === null ? undefined : (
              <Approver id={approval.approver_subject_id} />
            ),
          Reason: approval.decision_reason ?? undefined,
        }}
      />
      <h3>Binding</h3>
      <p class="hint">
        The approval works for exactly this session, delegation, scopes and policy version; the binding is
        their fingerprint.
      </p>
      <code>{approval.binding ?? '–'}</code>
      {state === 'approved' && <Notice tone="ok">The agent’s next request for it succeeds, once.</Notice>}
      <details>
        <summary>JSON</summary>
        <Json value={approval} />
      </details>
    </>
  )
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
