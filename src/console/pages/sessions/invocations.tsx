/** Work that sessions handed to services. */
import { inCoordinator } from '../../api.ts'
import { Link } from '../../router.tsx'
import { Badge, Id, Time, type Tone } from '../../ui/basics.tsx'
import { FeedView, useFeed } from '../../ui/feed.tsx'
import { Table } from '../../ui/table.tsx'
import type { ListProps } from './shapes.ts'

interface Invocation {
  readonly id: string
  readonly service_id: string
  readonly source_session_id: string | null
  readonly method: string
  readonly status: string
  readonly attempts: number
  readonly max_attempts: number
  readonly created_at: string
  readonly completed_at: string | null
}

const tones: Readonly<Record<string, Tone>> = {
  succeeded: 'ok',
  running: 'info',
  failed: 'bad',
  timed_out: 'bad',
  dead: 'bad',
}

export function Invocations({ zoneId }: ListProps) {
  const path = inCoordinator(zoneId, '/invocations')
  const feed = useFeed<Invocation>(path, () => path)
  return (
    <FeedView feed={feed}>
      {({ rows }) => (
        <Table
          rows={rows}
          keyOf={({ id }) => id}
          textOf={({ method, status }) => `${method} ${status}`}
          empty="No work was handed to a service yet. A session does so with an invocation."
          columns={[
            { title: 'Asked', cell: ({ created_at }) => <Time at={created_at} /> },
            { title: 'Method', cell: ({ method }) => <code>{method}</code> },
            {
              title: 'Status',
              cell: ({ status }) => (
                <Badge tone={tones[status] ?? 'idle'}>{status.replaceAll('_', ' ')}</Badge>
              ),
            },
            { title: 'Attempts', cell: ({ attempts, max_attempts }) => `${attempts} of ${max_attempts}` },
            {
              title: 'By session',
              cell: ({ source_session_id: id }) =>
                id && (
                  <Link to={`/zones/${zoneId}/sessions/${id}`}>
                    <Id value={id} />
                  </Link>
                ),
            },
            { title: 'Service', cell: ({ service_id }) => <Id value={service_id} /> },
            { title: 'Done', cell: ({ completed_at }) => <Time at={completed_at} /> },
          ]}
        />
      )}
    </FeedView>
  )
}
