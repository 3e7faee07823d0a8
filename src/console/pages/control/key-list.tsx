import { useState } from 'preact/hooks'
import { navigate } from '../../router.tsx'
import { useSurroundings, type Zone } from '../../state/session.tsx'
import { Async, Badge, Button, Id, Notice, Section, Time } from '../../ui/basics.tsx'
import { counted } from '../../ui/format.ts'
import { Table } from '../../ui/table.tsx'
import { useApplications } from '../definitions/lists.ts'
import { Named } from '../definitions/names.tsx'
import type { Application } from '../definitions/shapes.ts'
import { CreateKey } from './create-key.tsx'
import type { EndpointState } from './endpoint-state.ts'
import { byNoun, isKey, rightsOf, stateOf } from './key.ts'

interface KeyListProps {
  readonly zone: Zone
  readonly endpoint: EndpointState
}

export function KeyList({ zone, endpoint }: KeyListProps) {
  const applications = useApplications(zone.id)
  const { session } = useSurroundings()
  const [creating, setCreating] = useState(false)
  const create = endpoint.mayManage && (
    <Button kind="primary" onClick={() => setCreating(true)}>
      New key
    </Button>
  )
  return (
    <Section title="Keys" actions={create}>
      <Async of={applications}>
        {(all) =>
          session.zone_id !== null || all.some(({ traits }) => traits === undefined) ? (
            <Notice>Control keys are shown to operators of the whole server only.</Notice>
          ) : (
            <Table
              rows={all.filter(isKey)}
              keyOf={({ id }) => id}
              textOf={({ id, name, traits }) => `${name} ${id} ${traits?.join(' ') ?? ''}`}
              onOpen={({ id }) => navigate(`/zones/${zone.id}/control/${id}`)}
              columns={[
                { title: 'Name', cell: ({ name }) => <Named name={name} /> },
                { title: 'Key id', cell: ({ id }) => <Id value={id} /> },
                { title: 'May', cell: mayCell },
                {
                  title: 'State',
                  cell: (row) => {
                    const { tone, text } = stateOf(rightsOf(row))
                    return <Badge tone={tone}>{text}</Badge>
                  },
                },
                { title: 'Created', cell: ({ created_at }) => <Time at={created_at} /> },
              ]}
              empty={
                <>
                  <p>
                    No key yet. Make one for each program that manages this zone from outside, such as a
                    deploy pipeline.
                  </p>
                  {create}
                </>
              }
            />
          )
        }
      </Async>
      {creating && (
        <CreateKey
          zone={zone}
          audience={endpoint.audience}
          onCreated={applications.reload}
          onClose={() => setCreating(false)}
        />
      )}
    </Section>
  )
}

const nounsShown = 4

function mayCell(row: Application) {
  const { scopes } = rightsOf(row)
  const nouns = [...byNoun(scopes).keys()]
  return (
    <span class="why" title={scopes.join('\n')}>
      {counted(scopes.length, 'scope')}{' '}
      <span class="faint">
        {nouns.slice(0, nounsShown).join(', ')}
        {nouns.length > nounsShown && ' …'}
      </span>
    </span>
  )
}
