/** Where a zone tells other systems of its approvals: `/notifications`, `/notifications/{id}`. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../api.ts'
import { Link, navigate } from '../router.tsx'
import { useMay, type Zone } from '../state/session.tsx'
import { useData } from '../state/use-data.ts'
import { Async, Badge, Button, Page, Section, Time } from '../ui/basics.tsx'
import { Table } from '../ui/table.tsx'
import { Named } from './definitions/names.tsx'
import type { ZonePageProps } from './index.tsx'
import { CreateSink } from './notifications/create.tsx'
import { eventName, type Sink, stateOf } from './notifications/sink.ts'
import { SinkPage } from './notifications/sink-page.tsx'

export function Notifications({ zone, rest: [id] }: ZonePageProps) {
  if (id !== undefined) return <SinkPage key={id} zone={zone} id={id} />
  return <SinkList zone={zone} />
}

function SinkList({ zone }: { readonly zone: Zone }) {
  const path = inZone(zone.id, '/notification-sinks')
  const sinks = useData(path, (signal) => api.list<Sink>(path, signal))
  const mayWrite = useMay('write')
  const [creating, setCreating] = useState(false)
  const create = mayWrite && (
    <Button kind="primary" onClick={() => setCreating(true)}>
      New sink
    </Button>
  )
  return (
    <Page
      title="Notifications"
      lead="A sink is an address of yours that hears when a call is held for approval, and what became of it. What it gets is signed."
      actions={create}
    >
      <Section>
        <Async of={sinks}>
          {(rows) => (
            <Table
              rows={rows}
              keyOf={({ id }) => id}
              textOf={({ name, url }) => `${name} ${url}`}
              onOpen={({ id }) => navigate(`/zones/${zone.id}/notifications/${id}`)}
              columns={[
                {
                  title: 'Name',
                  cell: ({ id, name, url }) => (
                    <>
                      <Link to={`/zones/${zone.id}/notifications/${id}`}>
                        <Named name={name} />
                      </Link>
                      <div>
                        <code class="faint">{url}</code>
                      </div>
                    </>
                  ),
                },
                { title: 'Hears of', cell: ({ event_types }) => event_types.map(eventName).join(', ') },
                { title: 'State', cell: (sink) => <SinkState of={sink} /> },
                { title: 'Last delivered', cell: ({ last_success_at }) => <Time at={last_success_at} /> },
              ]}
              empty={
                <>
                  <p>Nobody is told of approvals yet. They wait on the page “Approvals”.</p>
                  {create}
                </>
              }
            />
          )}
        </Async>
      </Section>
      {creating && <CreateSink zone={zone} onCreated={sinks.reload} onClose={() => setCreating(false)} />}
    </Page>
  )
}

function SinkState({ of }: { readonly of: Sink }) {
  const { tone, text } = stateOf(of)
  return <Badge tone={tone}>{text}</Badge>
}
