import { navigate } from '../../router.tsx'
import { Badge, Time } from '../../ui/basics.tsx'
import { Table } from '../../ui/table.tsx'
import { type AuditEvent, subjectOf, titleOf, toneOf, traceOf } from '../audit/event.ts'
import { NothingYet } from '../audit/nothing-yet.tsx'

interface RecentEventsProps {
  readonly events: readonly AuditEvent[]
  readonly zoneId: string
}

/** A row opens the trace of its request. */
export function RecentEvents({ events, zoneId }: RecentEventsProps) {
  return (
    <Table
      rows={events}
      keyOf={({ id }) => id}
      onOpen={({ request_id: request }) =>
        navigate(request === null ? `/zones/${zoneId}/audit` : traceOf(zoneId, request))
      }
      empty={<NothingYet home={`/zones/${zoneId}`} />}
      columns={[
        { title: 'When', cell: ({ occurred_at }) => <Time at={occurred_at} /> },
        { title: 'Event', cell: titleOf },
        {
          title: 'Decision',
          cell: ({ decision }) => <Badge tone={toneOf(decision)}>{decision ?? '–'}</Badge>,
        },
        { title: 'What', cell: subjectOf },
      ]}
    />
  )
}
