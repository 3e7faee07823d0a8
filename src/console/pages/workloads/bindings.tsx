/** The credentials that a workload's program finds in its environment. */
import { useState } from 'preact/hooks'
import { useMay, type Zone } from '../../state/session.tsx'
import { Async, Badge, Button, Section } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { Table } from '../../ui/table.tsx'
import { useProviders, useResources } from '../definitions/lists.ts'
import type { Binding } from '../definitions/shapes.ts'
import { BindingForm } from './binding-form.tsx'
import { obstacleOf } from './injection.ts'

interface BindingsProps {
  readonly zone: Zone
  readonly bindings: readonly Binding[]
  /** Replaces all of them. */
  readonly onSave: (bindings: readonly Binding[]) => Promise<unknown>
}

type Asked =
  | { readonly to: 'add' }
  | { readonly to: 'edit'; readonly binding: Binding }
  | { readonly to: 'remove'; readonly binding: Binding }

export function Bindings({ zone, bindings, onSave }: BindingsProps) {
  const resources = useResources(zone.id)
  const providers = useProviders(zone.id)
  const mayWrite = useMay('write')
  const [asked, setAsked] = useState<Asked>()
  const close = () => setAsked(undefined)
  const add = mayWrite && <Button onClick={() => setAsked({ to: 'add' })}>Add a binding</Button>
  const others = ({ env }: Binding) => bindings.filter((one) => one.env !== env)
  const replace = (old: Binding, by: Binding) => bindings.map((one) => (one.env === old.env ? by : one))
  return (
    <Section title="Credentials" actions={add}>
      <Async of={resources}>
        {(allResources) => (
          <Async of={providers}>
            {(allProviders) => (
              <>
                <Table
                  rows={bindings}
                  keyOf={({ env }) => env}
                  columns={[
                    { title: 'Variable', cell: ({ env }) => <code>{env}</code> },
                    { title: 'Resource', cell: ({ resource }) => <code>{resource}</code> },
                    {
                      title: 'Scopes',
                      cell: ({ scopes }) => scopes?.join(', ') ?? <span class="faint">–</span>,
                    },
                    {
                      title: 'State',
                      cell: (binding) => {
                        const obstacle = obstacleOf(binding, allResources, allProviders)
                        if (obstacle === null) return <Badge tone="ok">{needOf(binding)}</Badge>
                        return (
                          <>
                            <Badge tone="bad">not available</Badge> {obstacle}
                          </>
                        )
                      },
                    },
                    {
                      title: '',
                      align: 'right',
                      cell: (binding) =>
                        mayWrite && (
                          <div class="actions">
                            <Button onClick={() => setAsked({ to: 'edit', binding })}>Edit</Button>
                            <Button onClick={() => setAsked({ to: 'remove', binding })}>Remove</Button>
                          </div>
                        ),
                    },
                  ]}
                  empty={
                    <>
                      <p>No credential yet. A binding puts the credential of a resource into a variable.</p>
                      {add}
                    </>
                  }
                />
                {asked?.to === 'add' && (
                  <BindingForm
                    resources={allResources}
                    onSave={(binding) => onSave([...bindings, binding])}
                    onClose={close}
                  />
                )}
                {asked?.to === 'edit' && (
                  <BindingForm
                    resources={allResources}
                    binding={asked.binding}
                    onSave={(binding) => onSave(replace(asked.binding, binding))}
                    onClose={close}
                  />
                )}
              </>
            )}
          </Async>
        )}
      </Async>
      {asked?.to === 'remove' && (
        <Confirm
          title={`Remove ${asked.binding.env}`}
          action="Remove"
          onClose={close}
          onConfirm={() => onSave(others(asked.binding))}
        >
          Programs started from now on do not find <code>{asked.binding.env}</code>. Those that run keep what
          they have.
        </Confirm>
      )}
    </Section>
  )
}

const needOf = ({ optional, on_failure }: Binding): string =>
  optional === true && on_failure === 'warn' ? 'optional' : 'required'
