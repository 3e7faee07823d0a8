import { inCoordinator, withQuery } from '../../api.ts'
import { usePlace } from '../../router.tsx'
import { FeedView, useFeed } from '../../ui/feed.tsx'
import { chosen, Filters } from '../../ui/filters.tsx'
import { Select, TextField } from '../../ui/form.tsx'
import { DelegationTable } from './delegation-table.tsx'
import type { Delegation, ListProps } from './shapes.ts'

const statusChoices = [
  { value: '', label: 'Active' },
  { value: 'revoked', label: 'Revoked' },
  { value: 'expired', label: 'Expired' },
  { value: 'all', label: 'Any' },
]

export function DelegationList({ zoneId, names }: ListProps) {
  const { query } = usePlace()
  const status = chosen(query, 'status', statusChoices)
  const feed = useFeed<Delegation>(`delegations ${zoneId} ${query}`, () =>
    withQuery(inCoordinator(zoneId, '/delegations'), {
      status: status === 'all' ? null : status || 'active',
      source_session_id: query.get('from'),
      target_session_id: query.get('to'),
    }),
  )
  return (
    <>
      <Filters>
        <Select name="status" label="Status" value={status} choices={statusChoices} />
        <TextField name="from" label="From session (id)" value={query.get('from') ?? ''} />
        <TextField name="to" label="To session (id)" value={query.get('to') ?? ''} />
      </Filters>
      <FeedView feed={feed}>
        {({ rows }) => (
          <DelegationTable
            rows={rows}
            zoneId={zoneId}
            names={names}
            onChanged={feed.data.reload}
            empty="No delegation matches. A session hands part of its authority to another one by a delegation."
          />
        )}
      </FeedView>
    </>
  )
}
