/** One binding of a workload: which variable gets the credential of which resource. */
import { useState } from 'preact/hooks'
import { Notice } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Check, Form, Select, TextField, type Values } from '../../ui/form.tsx'
import type { Binding, Resource } from '../definitions/shapes.ts'

interface BindingFormProps {
  readonly resources: readonly Resource[]
  /** The one to change; without it one is added. */
  readonly binding?: Binding
  readonly onSave: (binding: Binding) => Promise<unknown>
  readonly onClose: () => void
}

export function BindingForm({ resources, binding, onSave, onClose }: BindingFormProps) {
  const [identifier, setIdentifier] = useState(binding?.resource ?? resources[0]?.identifier ?? '')
  const known = resources.some((one) => one.identifier === identifier)
  const declared = resources.find((one) => one.identifier === identifier)?.scopes ?? []
  const held = binding?.resource === identifier ? (binding.scopes ?? []) : []
  const offered = [...new Set([...declared, ...held])]
  const save = async (values: Values) => {
    const scopes = values.all('scopes')
    await onSave({
      env: values.text('env'),
      resource: identifier,
      scopes,
      ...(values.checked('optional') ? { optional: true, on_failure: 'warn' as const } : {}),
    })
    onClose()
  }
  return (
    <Dialog title={binding === undefined ? 'New binding' : `Edit ${binding.env}`} onClose={onClose}>
      {resources.length === 0 ? (
        <Notice>This zone has no resource yet. Add the one whose credential the program needs first.</Notice>
      ) : (
        <Form action={binding === undefined ? 'Add' : 'Save'} onSubmit={save} onCancel={onClose}>
          <TextField
            name="env"
            label="Environment variable"
            value={binding?.env}
            placeholder="OPENAI_API_KEY"
            hint="Where the program looks for the credential."
            required
          />
          <Select
            name="resource"
            label="Resource"
            value={identifier}
            choices={[
              ...(known ? [] : [{ value: identifier, label: `${identifier} (not there)` }]),
              ...resources.map((one) => ({
                value: one.identifier,
                label: `${one.name} (${one.identifier})`,
              })),
            ]}
            hint="The program gets the credential of its provider."
            onInput={setIdentifier}
          />
          {offered.length > 0 && (
            <fieldset key={identifier}>
              <legend>Scopes to ask policy for</legend>
              {offered.map((scope) => (
                <Check
                  key={scope}
                  name="scopes"
                  value={scope}
                  label={<code>{scope}</code>}
                  checked={binding === undefined || held.includes(scope)}
                />
              ))}
            </fieldset>
          )}
          <Check
            name="optional"
            label="Start the program even without it (a warning is printed)"
            checked={binding?.optional === true && binding.on_failure === 'warn'}
          />
        </Form>
      )}
    </Dialog>
  )
}
