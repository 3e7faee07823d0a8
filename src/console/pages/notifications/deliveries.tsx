/** What was sent to a sink, newest first, and how it went. */
import { inZone } from '../../api.ts'
import type { Zone } from '../../state/session.tsx'
import { Badge, Section, Time, type Tone } from '../../ui/basics.tsx'
import { FeedView, useFeed } from '../../ui/feed.tsx'
import { Table } from '../../ui/table.tsx'
import { eventName } from './sink.ts'

interface Delivery {
  readonly id: string
  readonly event_id: string
  readonly event_type: string
  readonly attempts: number
  /** When it is tried, or tried again. */
  readonly available_at: string
  readonly delivered_at: string | null
  readonly abandoned_at: string | null
  readonly response_status: number | null
  readonly last_error: string | null
  readonly created_at: string
}

function stateOf({ delivered_at, abandoned_at, last_error }: Delivery): readonly [Tone, string] {
  if (delivered_at !== null) return ['ok', 'delivered']
  if (abandoned_at !== null) return ['bad', 'given up']
  return last_error === null ? ['info', 'waiting'] : ['warn', 'to be tried again']
}

const isOpen = ({ delivered_at, abandoned_at }: Delivery) => delivered_at === null && abandoned_at === null

interface DeliveriesProps {
  readonly zone: Zone
  readonly sinkId: string
  /** A paused sink is sent nothing. */
  readonly active: boolean
}

export function Deliveries({ zone, sinkId, active }: DeliveriesProps) {
  const path = inZone(zone.id, `/notification-sinks/${encodeURIComponent(sinkId)}/deliveries`)
  const feed = useFeed<Delivery>(path, () => path)
  return (
    <Section title="Deliveries">
      <FeedView feed={feed}>
        {({ rows }) => (
          <Table
            rows={rows}
            keyOf={({ id }) => id}
            columns={[
              { title: 'Event', cell: ({ event_type }) => eventName(event_type) },
              { title: 'Created', cell: ({ created_at }) => <Time at={created_at} /> },
              {
                title: 'State',
                cell: (delivery) => {
                  const [tone, text] = stateOf(delivery)
                  return <Badge tone={tone}>{text}</Badge>
                },
              },
              { title: 'Tries', cell: ({ attempts }) => attempts },
              {
                title: 'Answer',
                cell: ({ response_status, last_error }) =>
                  last_error ?? response_status ?? <span class="faint">–</span>,
              },
              {
                title: 'Next try',
                cell: (delivery) =>
                  isOpen(delivery) && active ? (
                    <Time at={delivery.available_at} />
                  ) : (
                    <span class="faint">–</span>
                  ),
              },
            ]}
            empty="Nothing yet. A sink hears of what happens from its creation on."
          />
        )}
      </FeedView>
      <p class="hint">
        A delivery that fails is tried eight times, with growing pauses; later ones wait for it. What is
        delivered or given up is kept for a week.
      </p>
    </Section>
  )
}
