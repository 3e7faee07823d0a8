/** One event of the ledger with all that it says. */
import { Link } from '../../router.tsx'
import { Badge, Facts, Id, Json, Section } from '../../ui/basics.tsx'
import { moment } from '../../ui/format.ts'
import { Named, type Names } from '../../ui/names.tsx'
import { DelegationChain } from './delegation-chain.tsx'
import { applicationOf, type FullAuditEvent, subjectOf, textIn, textsIn, titleOf, toneOf } from './event.ts'
import { PolicyVersion } from './policy-version.tsx'
import { whyOf } from './reasons.ts'

interface EventCardProps {
  readonly event: FullAuditEvent
  /** "2 of 3". */
  readonly place: string
  readonly zoneId: string
  readonly names: Names
  /** What the policies were asked; there for denials. */
  readonly policyInput: unknown
}

export function EventCard({ event, place, zoneId, names, policyInput }: EventCardProps) {
  const { metadata_json: metadata, diagnostics_json: diagnostics } = event
  const text = (name: string) => textIn(metadata, name) ?? undefined
  const list = (name: string) => textsIn(metadata, name).join(', ') || undefined
  const application = applicationOf(event)
  const session = text('agent_session_id')
  const approval = text('challenge_id')
  const policies = (event.determining_policies_json ?? []).map(policyName)
  return (
    <Section
      title={titleOf(event)}
      actions={
        <>
          <span class="hint">{place}</span>
          <Badge tone={toneOf(event.decision)}>{event.decision ?? '–'}</Badge>
        </>
      }
    >
      {event.decision !== 'allow' && <p>{whyOf(event)}</p>}
      <Facts
        of={{
          What: event.event_type === 'token_exchange' ? undefined : subjectOf(event) || undefined,
          At: moment(event.occurred_at),
          Evaluation: event.evaluation_status ?? undefined,
          Application: application === null ? undefined : <Named id={application} names={names} />,
          Resource: text('resource'),
          'Requested scopes': list('requested_scopes'),
          'Scopes of the delegation': list('delegation_scopes'),
          'Decided by policy': policies.length === 0 ? undefined : policies.join(', '),
          'Policy version':
            event.policy_set_version_id === null ? undefined : (
              <PolicyVersion
                zoneId={zoneId}
                setId={event.policy_set_id}
                versionId={event.policy_set_version_id}
              />
            ),
          Session: session && (
            <Link to={`/zones/${zoneId}/sessions/${session}`}>
              <Id value={session} />
            </Link>
          ),
          Labels: list('agent_labels'),
          Approval: approval && (
            <Link to={`/zones/${zoneId}/approvals/${approval}`}>
              <Id value={approval} />
            </Link>
          ),
          Upstream: [text('upstream_host'), text('upstream_status')].filter(Boolean).join(' → ') || undefined,
          Took: text('latency_ms') && `${text('latency_ms')} ms`,
          Reason: event.decision === 'allow' ? text('reason') : undefined,
        }}
      />
      <DelegationChain chain={metadata?.delegation_chain} zoneId={zoneId} names={names} />
      {diagnostics !== null && diagnostics.length > 0 && (
        <details open={event.decision === 'deny'}>
          <summary>Diagnostics</summary>
          <Json value={diagnostics} />
        </details>
      )}
      {policyInput !== undefined && event.policy_set_version_id !== null && (
        <details>
          <summary>What the policies were asked</summary>
          <p class="hint">Simulate a policy set with it on the Policies page.</p>
          <Json value={policyInput} />
        </details>
      )}
      <details>
        <summary>JSON</summary>
        <Json value={event} />
      </details>
    </Section>
  )
}

function policyName(entry: unknown): string {
  const name = typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>).policy : entry
  return typeof name === 'string' ? name : JSON.stringify(entry)
}
