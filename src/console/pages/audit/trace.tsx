/** Everything that one request left in the ledger, and why it was decided so. */
import { api, inZone, withQuery } from '../../api.ts'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Copy, Facts, Json, Section } from '../../ui/basics.tsx'
import { moment } from '../../ui/format.ts'
import type { Names } from '../../ui/names.tsx'
import { type FullAuditEvent, toneOf } from './event.ts'
import { EventCard } from './event-card.tsx'
import { whyOf } from './reasons.ts'

interface Denial {
  readonly event_id: string
  readonly policy_input: unknown
}

interface Explanation {
  readonly request_id: string
  readonly final_decision: string
  readonly denied: readonly Denial[]
  readonly events: readonly FullAuditEvent[]
}

interface TraceProps {
  readonly zoneId: string
  readonly requestId: string
  readonly names: Names
}

export function Trace({ zoneId, requestId, names }: TraceProps) {
  const path = withQuery(inZone(zoneId, '/audit/explain'), { request_id: requestId })
  const explanation = useData(path, (signal) => api.get<Explanation>(path, signal))
  return (
    <Async of={explanation}>
      {(trace) => (
        <>
          <Outcome trace={trace} />
          {trace.events.map((event, index) => (
            <EventCard
              key={event.id}
              event={event}
              place={`${index + 1} of ${trace.events.length}`}
              zoneId={zoneId}
              names={names}
              policyInput={trace.denied.find(({ event_id }) => event_id === event.id)?.policy_input}
            />
          ))}
          <details>
            <summary>All of it as JSON</summary>
            <Copy text={JSON.stringify(trace, null, 2)} label="Copy JSON" />
            <Json value={trace} />
          </details>
        </>
      )}
    </Async>
  )
}

function Outcome({ trace }: { readonly trace: Explanation }) {
  const { final_decision: decision, events } = trace
  const [first] = events
  const denied = events.filter((event) => event.decision === 'deny')
  const reasons = new Set(denied.flatMap((event) => whyOf(event) ?? []))
  return (
    <Section>
      <Facts
        of={{
          Outcome: <Badge tone={toneOf(decision)}>{decision}</Badge>,
          Request: <code>{trace.request_id}</code>,
          At: first && moment(first.occurred_at),
        }}
      />
      {events.length > 1 && [...reasons].map((reason) => <p key={reason}>{reason}</p>)}
    </Section>
  )
}
