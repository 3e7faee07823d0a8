import { useState } from 'preact/hooks'
import { navigate } from '../router.tsx'
import { useMay } from '../state/session.tsx'
import { Async, Badge, Button, Id, Page, Section, Time } from '../ui/basics.tsx'
import { Table } from '../ui/table.tsx'
import { Tabs, useTab } from '../ui/tabs.tsx'
import { ApplicationPage } from './applications/application.tsx'
import { CreateApplication } from './applications/create.tsx'
import { credentialOf, typeOf } from './applications/describe.ts'
import { statusOf, statusTabs, useApplications } from './definitions/lists.ts'
import { Named } from './definitions/names.tsx'
import type { Application } from './definitions/shapes.ts'
import type { ZonePageProps } from './index.tsx'

const tabs = statusTabs('Archived')

export function Applications({ zone, rest: [id] }: ZonePageProps) {
  if (id !== undefined) return <ApplicationPage key={id} zone={zone} id={id} />
  return <ApplicationList zone={zone} />
}

function ApplicationList({ zone }: Pick<ZonePageProps, 'zone'>) {
  const tab = useTab(tabs)
  const status = statusOf(tab)
  const applications = useApplications(zone.id, status)
  const mayWrite = useMay('write')
  const [creating, setCreating] = useState(false)
  const open = ({ id }: Application) => navigate(`/zones/${zone.id}/applications/${id}`)
  const create = mayWrite && (
    <Button kind="primary" onClick={() => setCreating(true)}>
      New application
    </Button>
  )
  return (
    <Page
      title="Applications"
      lead="An application is a program whose agents act. It proves itself with its secret and gets mandates as far as policy allows."
      actions={create}
    >
      <Tabs tabs={tabs} current={tab} />
      <Section>
        <Async of={applications}>
          {(rows) => (
            <Table
              rows={rows}
              keyOf={({ id }) => id}
              textOf={({ id, name }) => `${name} ${id}`}
              {...(status === 'active' ? { onOpen: open } : {})}
              columns={[
                { title: 'Name', cell: ({ name }) => <Named name={name} /> },
                { title: 'Application id', cell: ({ id }) => <Id value={id} /> },
                { title: 'Type', cell: typeOf },
                {
                  title: 'Secret',
                  cell: (row) => {
                    const { tone, text } = credentialOf(row)
                    return <Badge tone={tone}>{text}</Badge>
                  },
                },
                status === 'active'
                  ? { title: 'Created', cell: ({ created_at }) => <Time at={created_at} /> }
                  : { title: 'Archived', cell: ({ archived_at }) => <Time at={archived_at} /> },
              ]}
              empty={
                status === 'archived' ? (
                  'No application of this zone was archived.'
                ) : (
                  <>
                    <p>No application yet. Each program with agents of its own is one.</p>
                    {create}
                  </>
                )
              }
            />
          )}
        </Async>
      </Section>
      {creating && (
        <CreateApplication zone={zone} onCreated={applications.reload} onClose={() => setCreating(false)} />
      )}
    </Page>
  )
}
