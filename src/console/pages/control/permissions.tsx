/** Every call of Control, and the scope that it takes. */
import { Async, Section } from '../../ui/basics.tsx'
import { Table } from '../../ui/table.tsx'
import { type Catalog, useCatalog } from './endpoint-state.ts'

interface Row {
  readonly call: string
  readonly about: string
  readonly scope: string | null
  readonly flags: readonly string[]
}

const rowsOf = ({ commands }: Catalog): Row[] =>
  commands.flatMap(({ command, summary, subcommands }) =>
    subcommands.map(({ subcommand, scope, flags }) => ({
      call: `${command} ${subcommand}`.trim(),
      about: summary,
      scope,
      flags: flags.map(({ name }) => name.replace(/^--/, '')),
    })),
  )

export function Permissions() {
  const catalog = useCatalog()
  return (
    <Section>
      <p class="hint">
        A key does what its scopes allow, in its own zone. Zones, administrator tokens, the revocation of
        subjects and the decision of approvals are out of reach of every key, and so are the keys themselves.
      </p>
      <Async of={catalog}>
        {(known) => (
          <Table
            rows={rowsOf(known)}
            keyOf={({ call }) => call}
            textOf={({ call, about, scope }) => `${call} ${about} ${scope ?? ''}`}
            columns={[
              { title: 'Call', cell: ({ call }) => <code>{call}</code> },
              { title: 'About', cell: ({ about }) => about },
              { title: 'Scope', cell: scopeCell },
              {
                title: 'Flags',
                cell: ({ flags }) =>
                  flags.length === 0 ? <span class="faint">–</span> : <code>{flags.join(', ')}</code>,
              },
            ]}
            empty="This server has no call."
          />
        )}
      </Async>
    </Section>
  )
}

function scopeCell({ scope, flags }: Row) {
  if (scope !== null) return <code>{scope}</code>
  // What is handed to it is what it touches.
  return <span class="faint">{flags.length > 0 ? 'those of what it touches' : 'any'}</span>
}
