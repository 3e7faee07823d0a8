import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { Link } from '../../router.tsx'
import { Badge, Id, Time } from '../../ui/basics.tsx'
import { Named, type Names } from '../../ui/names.tsx'
import { Table } from '../../ui/table.tsx'
import { applicationOf, type FullAuditEvent, subjectOf, textIn, titleOf, toneOf } from './event.ts'
import { EventDialog } from './event-dialog.tsx'
import { whyOf } from './reasons.ts'

interface EventTableProps {
  readonly events: readonly FullAuditEvent[]
  readonly zoneId: string
  readonly names: Names
  readonly empty: ComponentChildren
}

export function EventTable({ events, zoneId, names, empty }: EventTableProps) {
  const [opened, setOpened] = useState<FullAuditEvent>()
  return (
    <>
      <Table
        rows={events}
        keyOf={({ id }) => id}
        onOpen={setOpened}
        empty={empty}
        columns={[
          { title: 'When', cell: ({ occurred_at }) => <Time at={occurred_at} /> },
          { title: 'Event', cell: titleOf },
          {
            title: 'Decision',
            cell: ({ decision }) => <Badge tone={toneOf(decision)}>{decision ?? '–'}</Badge>,
          },
          { title: 'What', cell: (event) => <What event={event} /> },
          {
            title: 'Application',
            cell: (event) => <Named id={applicationOf(event)} names={names} />,
          },
          { title: 'Session', cell: ({ metadata_json }) => sessionLink(zoneId, metadata_json) },
        ]}
      />
      {opened !== undefined && (
        <EventDialog event={opened} zoneId={zoneId} names={names} onClose={() => setOpened(undefined)} />
      )}
    </>
  )
}

function What({ event }: { readonly event: FullAuditEvent }) {
  const why = event.decision === 'allow' ? null : whyOf(event)
  return (
    <>
      {subjectOf(event)}
      {why !== null && <div class="hint">{why}</div>}
    </>
  )
}

function sessionLink(zoneId: string, metadata: FullAuditEvent['metadata_json']) {
  const session = textIn(metadata, 'agent_session_id')
  return session === null ? null : (
    <Link to={`/zones/${zoneId}/sessions/${session}`}>
      <Id value={session} />
    </Link>
  )
}
