import { api, inCoordinator, withQuery } from '../../api.ts'
import { Link, navigate, usePlace } from '../../router.tsx'
import { useData } from '../../state/use-data.ts'
import { Async } from '../../ui/basics.tsx'
import { FeedView, liveMs, useFeed } from '../../ui/feed.tsx'
import { chosen, Filters } from '../../ui/filters.tsx'
import { Select, TextField } from '../../ui/form.tsx'
import { SessionTable } from './session-table.tsx'
import { treeOf } from './session-tree.ts'
import type { ListProps, Session } from './shapes.ts'

const statusChoices = [
  { value: '', label: 'Live' },
  { value: 'active', label: 'Active' },
  { value: 'suspended', label: 'Suspended' },
  { value: 'terminated', label: 'Ended' },
  { value: 'expired', label: 'Expired' },
  { value: 'all', label: 'Any' },
]
const kindChoices = [
  { value: '', label: 'Any' },
  { value: 'task', label: 'Task' },
  { value: 'service', label: 'Service' },
]

export function SessionList({ zoneId, names }: ListProps) {
  const { query } = usePlace()
  const status = chosen(query, 'status', statusChoices)
  const kind = chosen(query, 'kind', kindChoices)
  const pathOf = (wanted: string | null) =>
    withQuery(inCoordinator(zoneId, '/agents'), {
      status: wanted,
      lifecycle: kind,
      application_id: query.get('application'),
      label: query.get('label'),
    })
  const feed = useFeed<Session>(`sessions ${zoneId} ${query}`, () =>
    pathOf(status === '' ? 'active' : status === 'all' ? null : status),
  )
  // The server lists one status at a time, and live sessions have two.
  const suspended = useData(
    `suspended ${zoneId} ${query}`,
    async (signal) => (status === '' ? api.list<Session>(pathOf('suspended'), signal) : []),
    { refreshMs: liveMs },
  )
  return (
    <>
      <Filters>
        <Select name="status" label="Status" value={status} choices={statusChoices} />
        <Select
          name="application"
          label="Application"
          value={query.get('application') ?? ''}
          choices={[{ value: '', label: 'Any' }, ...[...names].map(([value, label]) => ({ value, label }))]}
        />
        <Select name="kind" label="Kind" value={kind} choices={kindChoices} />
        <TextField name="label" label="Label" value={query.get('label') ?? ''} />
      </Filters>
      <FeedView feed={feed}>
        {({ rows }) => (
          <Async of={suspended}>
            {(others) => (
              <SessionTable
                rows={treeOf([...rows, ...others].sort((a, b) => (a.id < b.id ? 1 : -1)))}
                names={names}
                onOpen={({ id }) => navigate(`/zones/${zoneId}/sessions/${id}`)}
                empty={
                  status === '' ? (
                    <>
                      No session is live with these filters. Your application starts one through the SDK.{' '}
                      <Link to={`/zones/${zoneId}/setup`}>See how</Link>
                    </>
                  ) : (
                    'No session matches these filters.'
                  )
                }
              />
            )}
          </Async>
        )}
      </FeedView>
    </>
  )
}
