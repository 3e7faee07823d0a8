/** The ledger of a zone: what agents did, and what administrators changed. */
import { Link, usePlace } from '../router.tsx'
import { Page, Section } from '../ui/basics.tsx'
import { useApplicationNames } from '../ui/names.tsx'
import { Tabs, useTab } from '../ui/tabs.tsx'
import { Activity } from './audit/activity.tsx'
import { AdminChanges } from './audit/admin-changes.tsx'
import { Trace } from './audit/trace.tsx'
import type { ZonePageProps } from './index.tsx'

const tabs = [
  { id: 'activity', title: 'Activity' },
  { id: 'changes', title: 'Admin changes' },
]

export function Audit({ zone }: ZonePageProps) {
  const requestId = usePlace().query.get('request')
  const tab = useTab(tabs)
  const names = useApplicationNames(zone.id)
  if (requestId !== null)
    return (
      <Page title="Decision trace" lead={<Link to={`/zones/${zone.id}/audit`}>All activity</Link>}>
        <Trace zoneId={zone.id} requestId={requestId} names={names} />
      </Page>
    )
  return (
    <Page
      title="Audit"
      lead="Every decision and every change in this zone, in a ledger that cannot be edited."
    >
      <Tabs tabs={tabs} current={tab} />
      <Section>
        {tab === 'activity' ? <Activity zoneId={zone.id} names={names} /> : <AdminChanges zoneId={zone.id} />}
      </Section>
    </Page>
  )
}
