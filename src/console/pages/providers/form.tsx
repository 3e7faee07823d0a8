/** Making a provider, or changing one. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import type { Zone } from '../../state/session.tsx'
import { Notice } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Check, Form, Select, TextField, type Values } from '../../ui/form.tsx'
import type { Provider, ProviderKind } from '../definitions/shapes.ts'
import { configOf, fieldsFor, settle } from './config.ts'
import { Discovery } from './discovery.tsx'
import { ProviderFields } from './fields.tsx'
import { type Chosen, isOAuth, kindChoices, kinds } from './kinds.ts'

interface ProviderFormProps {
  readonly zone: Zone
  /** The one to change; without it one is made. */
  readonly provider?: Provider
  readonly onSaved: (provider: Provider) => void
  readonly onClose: () => void
}

export function ProviderForm({ zone, provider, onSaved, onClose }: ProviderFormProps) {
  const [kind, setKind] = useState<ProviderKind>(provider?.kind ?? 'api_key')
  const sameKind = provider?.kind === kind
  const [config, setConfig] = useState<Readonly<Record<string, unknown>>>(provider?.config_json ?? {})
  const [wanted, setWanted] = useState<Chosen>((provider?.config_json ?? {}) as Chosen)
  const chosen = settle(kind, wanted)
  const fields = fieldsFor(kind, chosen)
  const kept = sameKind ? provider.secret_config_keys : []
  const save = async (values: Values) => {
    const body = {
      name: values.text('name'),
      ...(values.optional('identifier') === undefined ? {} : { identifier: values.text('identifier') }),
      ...(sameKind ? {} : { kind }),
      config_json: configOf(fields, values),
      ...(values.checked('check') ? { check: true } : {}),
    }
    const saved =
      provider === undefined
        ? await api.post<Provider>(inZone(zone.id, '/providers'), body)
        : await api.patch<Provider>(inZone(zone.id, `/providers/${provider.id}`), body)
    onSaved(saved)
    onClose()
  }
  return (
    <Dialog title={provider === undefined ? 'New provider' : `Edit ${provider.name}`} side onClose={onClose}>
      <Form action={provider === undefined ? 'Create' : 'Save'} onSubmit={save} onCancel={onClose}>
        <Select
          name="kind"
          label="Kind"
          value={kind}
          choices={kindChoices}
          hint={kinds[kind].about}
          onInput={(value) => setKind(value as ProviderKind)}
        />
        <TextField name="name" label="Name" value={provider?.name} placeholder="Weather key" required />
        <TextField
          name="identifier"
          label="Identifier"
          value={provider?.identifier}
          placeholder="provider://weather-key"
          hint="Left empty, it is made from the name."
        />
        {isOAuth(kind) && (
          <Discovery zone={zone} kind={kind} onFound={(found) => setConfig({ ...config, ...found })} />
        )}
        <ProviderFields
          fields={fields}
          config={{ redirect_uri: callbackOf(zone), ...config }}
          chosen={chosen}
          onChoose={(name, value) => setWanted({ ...wanted, [name]: value })}
          kept={kept}
        />
        {kept.length > 1 && (
          <Notice>
            Of the secrets ({kept.join(', ')}) give all or none: what you type replaces everything that is
            kept.
          </Notice>
        )}
        {provider !== undefined && !sameKind && (
          <Notice tone="warn">Another kind starts anew: the secrets kept until now are deleted.</Notice>
        )}
        {provider === undefined && isOAuth(kind) && (
          <Check name="check" label="Try the token endpoint first, and save only when it works" />
        )}
      </Form>
    </Dialog>
  )
}

/** Where a provider sends people back to: the API, which has a port of its own beside the console's. */
function callbackOf(zone: Zone): string {
  return location.origin.replace(/:3001$/, ':3000') + inZone(zone.id, '/provider-connections/oauth/callback')
}
