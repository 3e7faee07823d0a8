/** What a person chooses for themselves, what holds for the whole server, and the end of an account. */
import { Page } from '../ui/basics.tsx'
import { Tabs, useTab } from '../ui/tabs.tsx'
import { Appearance } from './settings/appearance.tsx'
import { AuditRetention } from './settings/audit-retention.tsx'
import { Danger } from './settings/danger.tsx'
import { MintRate } from './settings/mint-rate.tsx'
import { RestartSetup } from './settings/restart-setup.tsx'

const tabs = [
  { id: 'preferences', title: 'Preferences' },
  { id: 'danger', title: 'Danger' },
]

export function Settings() {
  const tab = useTab(tabs)
  return (
    <Page title="Settings">
      <Tabs tabs={tabs} current={tab} />
      {tab === 'danger' ? (
        <Danger />
      ) : (
        <>
          <Appearance />
          <AuditRetention />
          <MintRate />
          <RestartSetup />
        </>
      )}
    </Page>
  )
}
