/** Making a resource, or changing one. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { Link } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { Async, Notice } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Check, type Choice, Form, Select, TextArea, TextField, type Values } from '../../ui/form.tsx'
import { words } from '../../ui/format.ts'
import { useProviders } from '../definitions/lists.ts'
import type { Provider, Resource } from '../definitions/shapes.ts'
import { kinds } from '../providers/kinds.ts'
import { draftsOf, Operations, operationsOf } from './operations.tsx'

interface ResourceFormProps {
  readonly zone: Zone
  /** The one to change; without it one is made. */
  readonly resource?: Resource
  readonly onSaved: (resource: Resource) => void
  readonly onClose: () => void
}

export function ResourceForm(props: ResourceFormProps) {
  const { zone, resource, onClose } = props
  const providers = useProviders(zone.id)
  return (
    <Dialog title={resource === undefined ? 'New resource' : `Edit ${resource.name}`} side onClose={onClose}>
      <Async of={providers}>
        {(known) =>
          known.length === 0 ? (
            <Notice>
              A resource is bound to a provider, if only to one that says that no credential is needed. Make{' '}
              <Link to={`/zones/${zone.id}/providers`}>a provider</Link> first.
            </Notice>
          ) : (
            <Fields {...props} providers={known} />
          )
        }
      </Async>
    </Dialog>
  )
}

const enforcements: readonly Choice[] = [
  { value: 'enforced', label: 'Only the operations below' },
  { value: 'transport_uniform', label: 'Any method and path (MCP, streams)' },
]

interface FieldsProps extends ResourceFormProps {
  readonly providers: readonly Provider[]
}

function Fields({ zone, resource, providers, onSaved, onClose }: FieldsProps) {
  const [scopes, setScopes] = useState(resource?.scopes.join('\n') ?? '')
  const [drafts, setDrafts] = useState(() => draftsOf(resource?.operations ?? []))
  const [enforcement, setEnforcement] = useState<string>(resource?.operation_enforcement ?? 'enforced')
  const [providerId, setProviderId] = useState(resource?.credential_provider_id ?? providers[0]?.id ?? '')
  const isNew = resource === undefined
  const getsMandates = providers.some(({ id, kind }) => id === providerId && kind === 'caracal_mandate')
  const save = async (values: Values) => {
    const body = {
      name: values.text('name'),
      ...(values.optional('identifier') === undefined ? {} : { identifier: values.text('identifier') }),
      upstream_url: values.optional('upstream_url') ?? null,
      credential_provider_id: providerId,
      scopes: words(scopes),
      operation_enforcement: enforcement,
      operations: operationsOf(drafts),
      ...(values.checked('check') ? { check: true } : {}),
    }
    const saved = isNew
      ? await api.post<Resource>(inZone(zone.id, '/resources'), body)
      : await api.patch<Resource>(inZone(zone.id, `/resources/${resource.id}`), body)
    onSaved(saved)
    onClose()
  }
  const lost = resource !== undefined && !providers.some(({ id }) => id === resource.credential_provider_id)
  return (
    <Form action={isNew ? 'Create' : 'Save'} onSubmit={save} onCancel={onClose}>
      <TextField name="name" label="Name" value={resource?.name} placeholder="Weather" required />
      <TextField
        name="identifier"
        label="Identifier"
        value={resource?.identifier}
        placeholder="resource://weather"
        hint={
          isNew
            ? 'Left empty, it is made from the name.'
            : 'Policies, workloads and programs name the resource by it: change it there too.'
        }
      />
      <TextField
        name="upstream_url"
        label="Upstream URL"
        type="url"
        value={resource?.upstream_url ?? ''}
        placeholder="https://api.example.com/v1"
        hint="Where the gateway sends calls. Paths of operations come after it."
        required={isNew || resource.upstream_url !== null}
      />
      <Select
        name="provider"
        label="Provider"
        value={providerId}
        choices={[
          ...(lost ? [{ value: providerId, label: '(deleted) choose another' }] : []),
          ...providers.map(({ id, name, kind }) => ({ value: id, label: `${name} (${kinds[kind].title})` })),
        ]}
        hint="The credential that the upstream gets."
        onInput={setProviderId}
      />
      <TextArea
        name="scopes"
        label="Scopes"
        rows={3}
        value={scopes}
        placeholder="weather:read"
        hint="What an agent may be allowed here, one a line."
        required
        onInput={setScopes}
      />
      <Select
        name="operation_enforcement"
        label="What the gateway lets through"
        value={enforcement}
        choices={enforcements}
        onInput={setEnforcement}
      />
      <Operations
        drafts={drafts}
        scopes={words(scopes)}
        enforced={enforcement === 'enforced'}
        onChange={setDrafts}
      />
      {isNew && getsMandates && (
        <Check name="check" label="Save only if the upstream refuses a forged mandate" />
      )}
    </Form>
  )
}
