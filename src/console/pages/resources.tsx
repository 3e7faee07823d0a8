import { useState } from 'preact/hooks'
import { navigate } from '../router.tsx'
import { useMay } from '../state/session.tsx'
import { Async, Badge, Button, Page, Section, Time } from '../ui/basics.tsx'
import { counted } from '../ui/format.ts'
import { Table } from '../ui/table.tsx'
import { Tabs, useTab } from '../ui/tabs.tsx'
import { statusOf, statusTabs, useProviders, useResources } from './definitions/lists.ts'
import { Named } from './definitions/names.tsx'
import type { Provider, Resource } from './definitions/shapes.ts'
import type { ZonePageProps } from './index.tsx'
import { findingsOf } from './resources/findings.ts'
import { ResourceForm } from './resources/form.tsx'
import { ResourcePage } from './resources/resource.tsx'

const tabs = statusTabs('Deleted')

export function Resources({ zone, rest: [id] }: ZonePageProps) {
  if (id !== undefined) return <ResourcePage key={id} zone={zone} id={id} />
  return <ResourceList zone={zone} />
}

function ResourceList({ zone }: Pick<ZonePageProps, 'zone'>) {
  const tab = useTab(tabs)
  const status = statusOf(tab)
  const resources = useResources(zone.id, status)
  const providers = useProviders(zone.id)
  const mayWrite = useMay('write')
  const [creating, setCreating] = useState(false)
  const open = ({ id }: Resource) => navigate(`/zones/${zone.id}/resources/${id}`)
  const providerOf = (row: Resource) => providers.value?.find(({ id }) => id === row.credential_provider_id)
  const create = mayWrite && (
    <Button kind="primary" onClick={() => setCreating(true)}>
      New resource
    </Button>
  )
  return (
    <Page
      title="Resources"
      lead="A resource is an API that agents call through the gateway: where it is, which scopes it has, and which calls each of them allows."
      actions={create}
    >
      <Tabs tabs={tabs} current={tab} />
      <Section>
        <Async of={resources}>
          {(rows) => (
            <Table
              rows={rows}
              keyOf={({ id }) => id}
              textOf={({ name, identifier, upstream_url }) => `${name} ${identifier} ${upstream_url ?? ''}`}
              {...(status === 'active' ? { onOpen: open } : {})}
              columns={[
                { title: 'Name', cell: ({ name, identifier }) => <Named name={name} under={identifier} /> },
                {
                  title: 'Upstream',
                  cell: ({ upstream_url }) => upstream_url ?? <span class="faint">–</span>,
                },
                { title: 'Provider', cell: (row) => providerOf(row)?.name ?? <span class="faint">–</span> },
                { title: 'Lets through', cell: letsThrough },
                ...(status === 'active'
                  ? [
                      {
                        title: 'State',
                        cell: (row: Resource) =>
                          providers.value && <State of={row} provider={providerOf(row)} />,
                      },
                    ]
                  : [{ title: 'Deleted', cell: (row: Resource) => <Time at={row.archived_at} /> }]),
              ]}
              empty={
                status === 'archived' ? (
                  'No resource of this zone was deleted.'
                ) : (
                  <>
                    <p>No resource yet. Add the first API that agents shall call under control.</p>
                    {create}
                  </>
                )
              }
            />
          )}
        </Async>
      </Section>
      {creating && <ResourceForm zone={zone} onSaved={open} onClose={() => setCreating(false)} />}
    </Page>
  )
}

const letsThrough = ({ operation_enforcement, operations }: Resource): string =>
  operation_enforcement === 'enforced' ? counted(operations.length, 'operation') : 'everything'

function State({ of, provider }: { readonly of: Resource; readonly provider: Provider | undefined }) {
  const findings = findingsOf(of, provider)
  if (findings.some(({ tone }) => tone === 'bad')) return <Badge tone="bad">refuses calls</Badge>
  return findings.length > 0 ? <Badge tone="warn">see notes</Badge> : <Badge tone="ok">ready</Badge>
}
