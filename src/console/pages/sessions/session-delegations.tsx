import { api, inCoordinator } from '../../api.ts'
import { useData } from '../../state/use-data.ts'
import { Async, Section } from '../../ui/basics.tsx'
import { liveMs } from '../../ui/feed.tsx'
import type { Names } from '../../ui/names.tsx'
import { DelegationTable } from './delegation-table.tsx'
import type { Delegation } from './shapes.ts'

interface SessionDelegationsProps {
  readonly zoneId: string
  readonly id: string
  readonly names: Names
}

/** What a session received, and what it handed on. */
export function SessionDelegations({ zoneId, id, names }: SessionDelegationsProps) {
  return (
    <>
      <Delegations
        title="Delegated to it"
        path={inCoordinator(zoneId, `/delegations/inbound/${encodeURIComponent(id)}`)}
        empty="Nothing was delegated to this session, so it can do nothing with resources."
        {...{ zoneId, names }}
      />
      <Delegations
        title="Delegated by it"
        path={inCoordinator(zoneId, `/delegations/outbound/${encodeURIComponent(id)}`)}
        empty="This session has delegated nothing."
        {...{ zoneId, names }}
      />
    </>
  )
}

interface DelegationsProps {
  readonly title: string
  readonly path: string
  readonly empty: string
  readonly zoneId: string
  readonly names: Names
}

function Delegations({ title, path, empty, zoneId, names }: DelegationsProps) {
  const found = useData(path, (signal) => api.list<Delegation>(path, signal), { refreshMs: liveMs })
  return (
    <Section title={title}>
      <Async of={found}>
        {(rows) => (
          <DelegationTable rows={rows} zoneId={zoneId} names={names} empty={empty} onChanged={found.reload} />
        )}
      </Async>
    </Section>
  )
}
