import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { Badge, Id, Time } from '../../ui/basics.tsx'
import { Named, type Names } from '../../ui/names.tsx'
import { Table } from '../../ui/table.tsx'
import { applicationOf, titleOf, toneOf } from './event.ts'
import { EventDialog } from './event-dialog.tsx'
import type { RequestGroup } from './group-by-request.ts'

interface RequestTableProps {
  readonly requests: readonly RequestGroup[]
  readonly zoneId: string
  readonly names: Names
  readonly empty: ComponentChildren
}

export function RequestTable({ requests, zoneId, names, empty }: RequestTableProps) {
  const [opened, setOpened] = useState<RequestGroup>()
  return (
    <>
      <Table
        rows={requests}
        keyOf={({ id }) => id}
        onOpen={setOpened}
        empty={empty}
        columns={[
          { title: 'When', cell: ({ newest }) => <Time at={newest.occurred_at} /> },
          { title: 'Request', cell: ({ newest }) => <Id value={newest.request_id} /> },
          {
            title: 'Outcome',
            cell: ({ decision }) => <Badge tone={toneOf(decision)}>{decision ?? '–'}</Badge>,
          },
          { title: 'Events', cell: ({ events }) => events.toReversed().map(titleOf).join(' → ') },
          {
            title: 'Application',
            cell: ({ events }) => (
              <Named id={events.map(applicationOf).find((id) => id !== null)} names={names} />
            ),
          },
        ]}
      />
      {opened !== undefined && (
        <EventDialog
          event={opened.newest}
          zoneId={zoneId}
          names={names}
          onClose={() => setOpened(undefined)}
        />
      )}
    </>
  )
}
