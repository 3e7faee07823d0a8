import { inZone, withQuery } from '../../api.ts'
import { usePlace } from '../../router.tsx'
import { Badge, Id, Time } from '../../ui/basics.tsx'
import { FeedView, useFeed } from '../../ui/feed.tsx'
import { chosen, Filters } from '../../ui/filters.tsx'
import { Select, TextField } from '../../ui/form.tsx'
import { Named } from '../../ui/names.tsx'
import { Table } from '../../ui/table.tsx'
import type { AuthorityRecord } from './record.ts'
import { type ListProps, tones } from './shapes.ts'

const statusChoices = [
  { value: '', label: 'Active' },
  { value: 'revoked', label: 'Revoked' },
  { value: 'expired', label: 'Expired' },
  { value: 'all', label: 'Any' },
]
const kindChoices = [
  { value: '', label: 'Any' },
  { value: 'application', label: 'Application' },
  { value: 'user', label: 'User' },
]

export function AuthorityRecords({ zoneId, names }: ListProps) {
  const { query } = usePlace()
  const status = chosen(query, 'status', statusChoices)
  const kind = chosen(query, 'kind', kindChoices)
  const feed = useFeed<AuthorityRecord>(`records ${zoneId} ${query}`, () =>
    withQuery(inZone(zoneId, '/authority-records'), {
      status: status === 'all' ? null : status || 'active',
      kind,
      subject_id: query.get('subject'),
    }),
  )
  return (
    <>
      <Filters>
        <Select name="status" label="Status" value={status} choices={statusChoices} />
        <Select name="kind" label="Kind" value={kind} choices={kindChoices} />
        <TextField name="subject" label="Subject id" value={query.get('subject') ?? ''} />
      </Filters>
      <FeedView feed={feed}>
        {({ rows }) => (
          <Table
            rows={rows}
            keyOf={({ authority_record_id }) => authority_record_id}
            empty="No authority record matches. Each mandate that is minted leaves one: on whose authority, and until when."
            columns={[
              { title: 'Record', cell: ({ authority_record_id }) => <Id value={authority_record_id} /> },
              { title: 'Subject', cell: ({ subject_id }) => <Named id={subject_id} names={names} /> },
              { title: 'Kind', cell: ({ authority_record_type }) => authority_record_type },
              {
                title: 'Status',
                cell: ({ status }) => <Badge tone={tones[status] ?? 'idle'}>{status}</Badge>,
              },
              {
                title: 'Stands on',
                cell: ({ parent_authority_record_id }) => <Id value={parent_authority_record_id} />,
              },
              { title: 'Since', cell: ({ created_at }) => <Time at={created_at} /> },
              { title: 'Until', cell: ({ expires_at }) => <Time at={expires_at} /> },
              { title: 'Revoked because', cell: ({ revoked_reason }) => revoked_reason },
            ]}
          />
        )}
      </FeedView>
    </>
  )
}
