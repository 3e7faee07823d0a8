import { useState } from 'preact/hooks'
import { navigate } from '../router.tsx'
import { useMay } from '../state/session.tsx'
import { Async, Badge, Button, Page, Section, Time } from '../ui/basics.tsx'
import { Table } from '../ui/table.tsx'
import { Tabs, useTab } from '../ui/tabs.tsx'
import { statusOf, statusTabs, useProviders, useResources } from './definitions/lists.ts'
import { Named } from './definitions/names.tsx'
import type { Provider } from './definitions/shapes.ts'
import type { ZonePageProps } from './index.tsx'
import { ProviderForm } from './providers/form.tsx'
import { isOAuth, kinds } from './providers/kinds.ts'
import { ProviderPage } from './providers/provider.tsx'

const tabs = statusTabs('Deleted')

export function Providers({ zone, rest: [id] }: ZonePageProps) {
  if (id !== undefined) return <ProviderPage key={id} zone={zone} id={id} />
  return <ProviderList zone={zone} />
}

function ProviderList({ zone }: Pick<ZonePageProps, 'zone'>) {
  const tab = useTab(tabs)
  const status = statusOf(tab)
  const providers = useProviders(zone.id, status)
  const resources = useResources(zone.id)
  const mayWrite = useMay('write')
  const [creating, setCreating] = useState(false)
  const open = ({ id }: Provider) => navigate(`/zones/${zone.id}/providers/${id}`)
  const usesOf = (id: string) =>
    resources.value?.filter((resource) => resource.credential_provider_id === id).length ?? '…'
  const create = mayWrite && (
    <Button kind="primary" onClick={() => setCreating(true)}>
      New provider
    </Button>
  )
  return (
    <Page
      title="Providers"
      lead="A provider holds the credential that an upstream wants. The gateway puts it into calls; agents never see it."
      actions={create}
    >
      <Tabs tabs={tabs} current={tab} />
      <Section>
        <Async of={providers}>
          {(rows) => (
            <Table
              rows={rows}
              keyOf={({ id }) => id}
              textOf={({ name, identifier }) => `${name} ${identifier}`}
              {...(status === 'active' ? { onOpen: open } : {})}
              columns={[
                { title: 'Name', cell: ({ name, identifier }) => <Named name={name} under={identifier} /> },
                { title: 'Kind', cell: ({ kind }) => kinds[kind].title },
                { title: 'State', cell: (row) => <State of={row} /> },
                ...(status === 'active'
                  ? [
                      { title: 'Resources', cell: ({ id }: Provider) => usesOf(id) },
                      { title: 'Changed', cell: (row: Provider) => <Time at={row.updated_at} /> },
                    ]
                  : [{ title: 'Deleted', cell: (row: Provider) => <Time at={row.archived_at} /> }]),
              ]}
              empty={
                status === 'archived' ? (
                  'No provider of this zone was deleted.'
                ) : (
                  <>
                    <p>
                      No provider yet. Every resource is bound to one, if only to say that it needs no
                      credential.
                    </p>
                    {create}
                  </>
                )
              }
            />
          )}
        </Async>
      </Section>
      {creating && <ProviderForm zone={zone} onSaved={open} onClose={() => setCreating(false)} />}
    </Page>
  )
}

function State({ of }: { readonly of: Provider }) {
  if (of.archived_at !== null) return <Badge>deleted</Badge>
  if (isOAuth(of.kind) && of.connectivity_failed_at !== null) return <Badge tone="warn">not confirmed</Badge>
  return <Badge tone="ok">ready</Badge>
}
