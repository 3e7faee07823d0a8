import { useState } from 'preact/hooks'
import { api, inZone } from '../api.ts'
import { navigate } from '../router.tsx'
import { useMay } from '../state/session.tsx'
import { useData } from '../state/use-data.ts'
import { Async, Button, Id, Page, Section, Time } from '../ui/basics.tsx'
import { Table } from '../ui/table.tsx'
import { Named } from './definitions/names.tsx'
import type { Workload } from './definitions/shapes.ts'
import type { ZonePageProps } from './index.tsx'
import { CreateWorkload } from './workloads/create.tsx'
import { WorkloadPage } from './workloads/workload.tsx'

export function Workloads({ zone, rest: [id] }: ZonePageProps) {
  if (id !== undefined) return <WorkloadPage key={id} zone={zone} id={id} />
  return <WorkloadList zone={zone} />
}

function WorkloadList({ zone }: Pick<ZonePageProps, 'zone'>) {
  const path = inZone(zone.id, '/workloads')
  const workloads = useData(path, (signal) => api.list<Workload>(path, signal))
  const mayWrite = useMay('write')
  const [creating, setCreating] = useState(false)
  const create = mayWrite && (
    <Button kind="primary" onClick={() => setCreating(true)}>
      New workload
    </Button>
  )
  return (
    <Page
      title="Launcher"
      lead={
        <>
          A workload is a program that knows nothing of Caracal. <code>caracal run</code> starts it with the
          credentials it is bound to, as far as policy allows.
        </>
      }
      actions={create}
    >
      <Section>
        <Async of={workloads}>
          {(rows) => (
            <Table
              rows={rows}
              keyOf={({ id }) => id}
              textOf={({ id, name }) => `${name} ${id}`}
              onOpen={({ id }) => navigate(`/zones/${zone.id}/workloads/${id}`)}
              columns={[
                { title: 'Name', cell: ({ name }) => <Named name={name} /> },
                { title: 'Workload id', cell: ({ id }) => <Id value={id} /> },
                {
                  title: 'Variables',
                  cell: ({ bindings }) =>
                    bindings.length === 0 ? (
                      <span class="faint">–</span>
                    ) : (
                      <code>{bindings.map(({ env }) => env).join(', ')}</code>
                    ),
                },
                { title: 'Created', cell: ({ created_at }) => <Time at={created_at} /> },
              ]}
              empty={
                <>
                  <p>
                    No workload yet. Make one for each program that cannot use an SDK but needs credentials.
                  </p>
                  {create}
                </>
              }
            />
          )}
        </Async>
      </Section>
      {creating && (
        <CreateWorkload zone={zone} onCreated={workloads.reload} onClose={() => setCreating(false)} />
      )}
    </Page>
  )
}
