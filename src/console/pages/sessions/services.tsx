/** Agents that registered an endpoint at which they take work. */
import { inCoordinator } from '../../api.ts'
import { Badge, Id, Time, type Tone } from '../../ui/basics.tsx'
import { FeedView, useFeed } from '../../ui/feed.tsx'
import { Named } from '../../ui/names.tsx'
import { Table } from '../../ui/table.tsx'
import type { ListProps } from './shapes.ts'

interface Service {
  readonly id: string
  readonly application_id: string
  readonly endpoint_url: string
  readonly framework_name: string | null
  readonly framework_version: string | null
  readonly capabilities: readonly string[]
  readonly health: 'starting' | 'healthy' | 'degraded' | 'unhealthy'
  readonly last_heartbeat_at: string | null
}

const tones: Readonly<Record<Service['health'], Tone>> = {
  starting: 'idle',
  healthy: 'ok',
  degraded: 'warn',
  unhealthy: 'bad',
}

export function Services({ zoneId, names }: ListProps) {
  const path = inCoordinator(zoneId, '/agent-services')
  const feed = useFeed<Service>(path, () => path)
  return (
    <FeedView feed={feed}>
      {({ rows }) => (
        <Table
          rows={rows}
          keyOf={({ id }) => id}
          textOf={(service) => `${service.endpoint_url} ${service.capabilities.join(' ')}`}
          empty="No service is registered. A long-lived agent registers one to take work from others."
          columns={[
            { title: 'Service', cell: ({ id }) => <Id value={id} /> },
            { title: 'Endpoint', cell: ({ endpoint_url }) => <code>{endpoint_url}</code> },
            {
              title: 'Application',
              cell: ({ application_id }) => <Named id={application_id} names={names} />,
            },
            { title: 'Health', cell: ({ health }) => <Badge tone={tones[health]}>{health}</Badge> },
            { title: 'Heartbeat', cell: ({ last_heartbeat_at }) => <Time at={last_heartbeat_at} /> },
            {
              title: 'Framework',
              cell: ({ framework_name: name, framework_version: version }) =>
                name === null ? '' : `${name} ${version ?? ''}`,
            },
            { title: 'Capabilities', cell: ({ capabilities }) => capabilities.join(', ') },
          ]}
        />
      )}
    </FeedView>
  )
}
