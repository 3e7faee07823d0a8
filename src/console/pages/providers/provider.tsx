/** One provider: its settings, whether it works, what depends on it. */
import { api, inZone } from '../../api.ts'
import { Link, navigate } from '../../router.tsx'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Facts, Section, Time } from '../../ui/basics.tsx'
import { DetailPage, RemoveButton } from '../../ui/detail-page.tsx'
import { DialogButton } from '../../ui/dialog.tsx'
import { counted } from '../../ui/format.ts'
import { Table } from '../../ui/table.tsx'
import { useResources } from '../definitions/lists.ts'
import { Badges, Named } from '../definitions/names.tsx'
import type { Provider, Resource } from '../definitions/shapes.ts'
import { settingsOf } from './config.ts'
import { ConnectionTest } from './connection-test.tsx'
import { Connections } from './connections.tsx'
import { ProviderForm } from './form.tsx'
import { isOAuth, kinds } from './kinds.ts'

export function ProviderPage({ zone, id }: { readonly zone: Zone; readonly id: string }) {
  const path = inZone(zone.id, `/providers/${encodeURIComponent(id)}`)
  const list = { to: `/zones/${zone.id}/providers`, title: 'Providers' }
  const provider = useData(path, (signal) => api.get<Provider>(path, signal))
  const resources = useResources(zone.id)
  const bound = resources.value?.filter((resource) => resource.credential_provider_id === id) ?? []
  const mayWrite = useMay('write')
  return (
    <DetailPage
      title={provider.value?.name ?? 'Provider'}
      list={list}
      about={provider.value && kinds[provider.value.kind].about}
      of={provider}
      actions={
        mayWrite &&
        ((one) => (
          <>
            <DialogButton label="Edit">
              {(close) => (
                <ProviderForm zone={zone} provider={one} onSaved={provider.reload} onClose={close} />
              )}
            </DialogButton>
            <RemoveButton action="Delete" title="Delete the provider" path={path} list={list}>
              <p>
                <strong>{one.name}</strong> and its secrets are deleted. This cannot be taken back.
              </p>
              {bound.length > 0 && (
                <p>
                  {counted(bound.length, 'resource uses it', 'resources use it')} and will refuse every call
                  until bound to another provider: {bound.map(({ name }) => name).join(', ')}.
                </p>
              )}
            </RemoveButton>
          </>
        ))
      }
    >
      {(one) => (
        <>
          <Section>
            <ProviderFacts of={one} />
          </Section>
          {isOAuth(one.kind) && <ConnectionTest path={path} provider={one} onTested={provider.reload} />}
          {one.kind === 'oauth2_authorization_code' && <Connections zone={zone} providerId={one.id} />}
          <Section title="Resources that use it">
            <Async of={resources}>{() => <Bound zone={zone} resources={bound} />}</Async>
          </Section>
        </>
      )}
    </DetailPage>
  )
}

function ProviderFacts({ of }: { readonly of: Provider }) {
  const labels = new Map(kinds[of.kind].fields.map(({ name, label }) => [name, label]))
  return (
    <Facts
      of={{
        Kind: kinds[of.kind].title,
        Identifier: <code>{of.identifier}</code>,
        'Provider id': <code>{of.id}</code>,
        ...settingsOf(of),
        ...(of.secret_config_keys.length === 0
          ? {}
          : {
              'Sealed secrets': <Badges of={of.secret_config_keys.map((name) => labels.get(name) ?? name)} />,
            }),
        Created: <Time at={of.created_at} />,
        Changed: <Time at={of.updated_at} />,
      }}
    />
  )
}

function Bound({ zone, resources }: { readonly zone: Zone; readonly resources: readonly Resource[] }) {
  const path = `/zones/${zone.id}/resources`
  return (
    <Table
      rows={resources}
      keyOf={({ id }) => id}
      onOpen={({ id }) => navigate(`${path}/${id}`)}
      columns={[
        { title: 'Resource', cell: ({ name, identifier }) => <Named name={name} under={identifier} /> },
        { title: 'Upstream', cell: ({ upstream_url }) => upstream_url },
      ]}
      empty={
        <>
          No resource uses it yet. Bind it on the page of <Link to={path}>a resource</Link>.
        </>
      }
    />
  )
}
