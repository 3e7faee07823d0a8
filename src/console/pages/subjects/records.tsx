import { useState } from 'preact/hooks'
import { api, inZone, withQuery } from '../../api.ts'
import type { Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Id, Section, Time } from '../../ui/basics.tsx'
import { Select } from '../../ui/form.tsx'
import { Table } from '../../ui/table.tsx'
import type { AuthorityRecord } from './shapes.ts'
import { StatusBadge } from './status-badge.tsx'

interface RecordsProps {
  readonly zone: Zone
  readonly subjectId: string
}

const shown = 200

/** The newest authority records of a subject. */
export function Records({ zone, subjectId }: RecordsProps) {
  const [status, setStatus] = useState('')
  const records = useData(`${subjectId} ${status}`, (signal) =>
    api.page<AuthorityRecord>(
      withQuery(inZone(zone.id, '/authority-records'), { subject_id: subjectId, status, limit: shown }),
      signal,
    ),
  )
  return (
    <Section title="Authority records">
      <div class="filters">
        <Select
          name="status"
          label="Status"
          onInput={setStatus}
          choices={[
            { value: '', label: 'Any' },
            { value: 'active', label: 'Active' },
            { value: 'revoked', label: 'Revoked' },
            { value: 'expired', label: 'Expired' },
          ]}
        />
      </div>
      <Async of={records}>
        {({ items, next_cursor }) => (
          <>
            <Table
              rows={items}
              keyOf={({ authority_record_id }) => authority_record_id}
              columns={[
                { title: 'Record', cell: ({ authority_record_id }) => <Id value={authority_record_id} /> },
                {
                  title: 'Parent',
                  cell: ({ parent_authority_record_id }) => <Id value={parent_authority_record_id} />,
                },
                { title: 'Status', cell: ({ status }) => <StatusBadge status={status} /> },
                { title: 'Created', cell: ({ created_at }) => <Time at={created_at} /> },
                { title: 'Expires', cell: ({ expires_at }) => <Time at={expires_at} /> },
                { title: 'Revoked', cell: ({ revoked_at }) => <Time at={revoked_at} /> },
                { title: 'Reason', cell: ({ revoked_reason }) => revoked_reason },
              ]}
              empty="No such record; ended ones are cleared away after a while."
            />
            {next_cursor !== null && <p class="hint">These are the newest {shown}.</p>}
          </>
        )}
      </Async>
    </Section>
  )
}
