/** Policies and policy sets: `/policies`, `/policies/new`, `/policies/{id}`, `/policies/sets/{id}`. */
import { useMay } from '../state/session.tsx'
import { Page } from '../ui/basics.tsx'
import { Tabs, useTab } from '../ui/tabs.tsx'
import type { ZonePageProps } from './index.tsx'
import { NewPolicy } from './policies/new-policy.tsx'
import { PolicyDetail } from './policies/policy-detail.tsx'
import { PolicyList } from './policies/policy-list.tsx'
import { SetDetail } from './policies/set-detail.tsx'
import { SetList } from './policies/set-list.tsx'

const tabs = [
  { id: 'policies', title: 'Policies' },
  { id: 'sets', title: 'Policy sets' },
]

export function Policies({ zone, rest }: ZonePageProps) {
  const tab = useTab(tabs)
  const mayWrite = useMay('write')
  const [first, second] = rest
  if (first === 'new' && mayWrite) return <NewPolicy zone={zone} />
  if (first === 'sets' && second !== undefined) return <SetDetail key={second} zone={zone} id={second} />
  if (first !== undefined && first !== 'sets' && first !== 'new')
    return <PolicyDetail key={first} zone={zone} id={first} />
  return (
    <Page
      title="Policies"
      lead="Policies are versioned documents. A policy set puts versions of them together; the active one decides in this zone."
    >
      <Tabs tabs={tabs} current={tab} />
      {tab === 'sets' ? <SetList zone={zone} /> : <PolicyList zone={zone} />}
    </Page>
  )
}
