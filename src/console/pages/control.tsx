import { Async, Page } from '../ui/basics.tsx'
import { Tabs, useTab } from '../ui/tabs.tsx'
import { Endpoint } from './control/endpoint.tsx'
import { useEndpoint } from './control/endpoint-state.ts'
import { KeyList } from './control/key-list.tsx'
import { KeyPage } from './control/key-page.tsx'
import { Permissions } from './control/permissions.tsx'
import type { ZonePageProps } from './index.tsx'

const tabs = [
  { id: 'keys', title: 'Keys' },
  { id: 'permissions', title: 'What keys may do' },
]

export function ControlPages({ zone, rest: [id] }: ZonePageProps) {
  if (id !== undefined) return <KeyPage key={id} zone={zone} id={id} />
  return <ControlOverview zone={zone} />
}

function ControlOverview({ zone }: Pick<ZonePageProps, 'zone'>) {
  const tab = useTab(tabs)
  const endpoint = useEndpoint()
  return (
    <Page
      title="Control"
      lead="Programs outside, such as a deploy pipeline, manage this zone through the Control endpoint: each with a key of its own, which holds no more than it needs, and with a token for each call."
    >
      <Endpoint of={endpoint} />
      <Tabs tabs={tabs} current={tab} />
      {tab === 'permissions' ? (
        <Permissions />
      ) : (
        <Async of={endpoint}>{(state) => <KeyList zone={zone} endpoint={state} />}</Async>
      )}
    </Page>
  )
}
