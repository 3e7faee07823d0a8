/** One resource: where its calls go, what they may do, whether that works. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { Link, navigate } from '../../router.tsx'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Button, Facts, Page, Section, Time } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { Table } from '../../ui/table.tsx'
import { useProviders } from '../definitions/lists.ts'
import { Back, Badges } from '../definitions/names.tsx'
import type { Provider, Resource } from '../definitions/shapes.ts'
import { kinds } from '../providers/kinds.ts'
import { ResourceForm } from './form.tsx'
import { Verify } from './verify.tsx'

export function ResourcePage({ zone, id }: { readonly zone: Zone; readonly id: string }) {
  const path = inZone(zone.id, `/resources/${encodeURIComponent(id)}`)
  const list = `/zones/${zone.id}/resources`
  const resource = useData(path, (signal) => api.get<Resource>(path, signal))
  const providers = useProviders(zone.id)
  const mayWrite = useMay('write')
  const [asked, setAsked] = useState<'edit' | 'delete'>()
  const close = () => setAsked(undefined)
  const row = resource.value
  const provider = providers.value?.find((one) => one.id === row?.credential_provider_id)
  return (
    <Page
      title={row?.name ?? 'Resource'}
      lead={<Back to={list} title="Resources" />}
      actions={
        mayWrite &&
        row !== undefined && (
          <>
            <Button onClick={() => setAsked('edit')}>Edit</Button>
            <Button kind="danger" onClick={() => setAsked('delete')}>
              Delete
            </Button>
          </>
        )
      }
    >
      <Async of={resource}>
        {(one) => (
          <>
            <Section>
              <ResourceFacts zone={zone} of={one} provider={provider} />
            </Section>
            {one.operation_enforcement === 'enforced' && (
              <Section title="Operations">
                <OperationTable of={one} />
              </Section>
            )}
            <Async of={providers}>{() => <Verify path={path} resource={one} provider={provider} />}</Async>
            {asked === 'edit' && (
              <ResourceForm
                zone={zone}
                resource={one}
                onSaved={() => {
                  resource.reload()
                  providers.reload()
                }}
                onClose={close}
              />
            )}
          </>
        )}
      </Async>
      {asked === 'delete' && (
        <Confirm
          title="Delete the resource"
          action="Delete"
          onClose={close}
          onConfirm={async () => {
            await api.remove(path)
            navigate(list)
          }}
        >
          The gateway refuses every call to <strong>{row?.name}</strong> at once, and no mandate is issued for
          it any more. This cannot be taken back.
        </Confirm>
      )}
    </Page>
  )
}

interface ResourceFactsProps {
  readonly zone: Zone
  readonly of: Resource
  readonly provider: Provider | undefined
}

function ResourceFacts({ zone, of, provider }: ResourceFactsProps) {
  return (
    <Facts
      of={{
        Identifier: <code>{of.identifier}</code>,
        Upstream: of.upstream_url,
        Provider:
          provider === undefined ? (
            <code>{of.credential_provider_id}</code>
          ) : (
            <>
              <Link to={`/zones/${zone.id}/providers/${provider.id}`}>{provider.name}</Link>{' '}
              <span class="faint">{kinds[provider.kind].title}</span>
            </>
          ),
        'The gateway lets through':
          of.operation_enforcement === 'enforced' ? 'declared operations' : 'any method and path',
        Scopes: <Badges of={of.scopes} />,
        'Resource id': <code>{of.id}</code>,
        Created: <Time at={of.created_at} />,
        Changed: <Time at={of.updated_at} />,
      }}
    />
  )
}

function OperationTable({ of }: { readonly of: Resource }) {
  return (
    <Table
      rows={of.operations}
      keyOf={({ method, path }) => `${method} ${path}`}
      textOf={({ method, path, scope }) => `${method} ${path} ${scope}`}
      columns={[
        { title: 'Method', cell: ({ method }) => <code>{method}</code> },
        { title: 'Path', cell: ({ path }) => <code>{path}</code> },
        { title: 'Needs scope', cell: ({ scope }) => <Badge>{scope}</Badge> },
      ]}
      empty="No operation is declared, so the gateway refuses every call. Edit the resource to add some."
    />
  )
}
