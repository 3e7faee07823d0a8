/** One resource: where its calls go, what they may do, whether that works. */
import { api, inZone } from '../../api.ts'
import { Link } from '../../router.tsx'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Facts, Section, Time } from '../../ui/basics.tsx'
import { DetailPage, RemoveButton } from '../../ui/detail-page.tsx'
import { DialogButton } from '../../ui/dialog.tsx'
import { Table } from '../../ui/table.tsx'
import { useProviders } from '../definitions/lists.ts'
import { Badges } from '../definitions/names.tsx'
import type { Provider, Resource } from '../definitions/shapes.ts'
import { kinds } from '../providers/kinds.ts'
import { ResourceForm } from './form.tsx'
import { Verify } from './verify.tsx'

export function ResourcePage({ zone, id }: { readonly zone: Zone; readonly id: string }) {
  const path = inZone(zone.id, `/resources/${encodeURIComponent(id)}`)
  const list = { to: `/zones/${zone.id}/resources`, title: 'Resources' }
  const resource = useData(path, (signal) => api.get<Resource>(path, signal))
  const providers = useProviders(zone.id)
  const mayWrite = useMay('write')
  const provider = providers.value?.find((one) => one.id === resource.value?.credential_provider_id)
  const reload = () => {
    resource.reload()
    providers.reload()
  }
  return (
    <DetailPage
      title={resource.value?.name ?? 'Resource'}
      list={list}
      of={resource}
      actions={
        mayWrite &&
        ((one) => (
          <>
            <DialogButton label="Edit">
              {(close) => <ResourceForm zone={zone} resource={one} onSaved={reload} onClose={close} />}
            </DialogButton>
            <RemoveButton action="Delete" title="Delete the resource" path={path} list={list}>
              The gateway refuses every call to <strong>{one.name}</strong> at once, and no mandate is issued
              for it any more. This cannot be taken back.
            </RemoveButton>
          </>
        ))
      }
    >
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
        </>
      )}
    </DetailPage>
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
