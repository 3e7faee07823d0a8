/** Governed sessions and the authority that runs between them: `/sessions`, `/sessions/{id}`. */
import { Page, Section } from '../ui/basics.tsx'
import { useApplicationNames } from '../ui/names.tsx'
import { Tabs, useTab } from '../ui/tabs.tsx'
import type { ZonePageProps } from './index.tsx'
import { AuthorityRecords } from './sessions/authority-records.tsx'
import { DelegationList } from './sessions/delegation-list.tsx'
import { Invocations } from './sessions/invocations.tsx'
import { Services } from './sessions/services.tsx'
import { SessionDetail } from './sessions/session-detail.tsx'
import { SessionList } from './sessions/session-list.tsx'

const tabs = [
  { id: 'sessions', title: 'Sessions' },
  { id: 'delegations', title: 'Delegations' },
  { id: 'records', title: 'Authority records' },
  { id: 'invocations', title: 'Invocations' },
  { id: 'services', title: 'Services' },
]
const lists = {
  sessions: SessionList,
  delegations: DelegationList,
  records: AuthorityRecords,
  invocations: Invocations,
  services: Services,
}

export function Sessions({ zone, rest: [id] }: ZonePageProps) {
  const tab = useTab(tabs) as keyof typeof lists
  const names = useApplicationNames(zone.id)
  if (id !== undefined) return <SessionDetail key={id} zoneId={zone.id} id={id} names={names} />
  const List = lists[tab]
  return (
    <Page
      title="Sessions"
      lead="Each running piece of an agent has a session. It can do what was delegated to it, and nothing else."
    >
      <Tabs tabs={tabs} current={tab} />
      <Section>
        <List zoneId={zone.id} names={names} />
      </Section>
    </Page>
  )
}
