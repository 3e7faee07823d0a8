/** Who acted in a zone: people whom an issuer vouches for, and applications. One is open when the query names it. */
import { usePlace } from '../router.tsx'
import { Page } from '../ui/basics.tsx'
import { Tabs, useTab } from '../ui/tabs.tsx'
import type { ZonePageProps } from './index.tsx'
import { SubjectDetail } from './subjects/subject-detail.tsx'
import { SubjectList } from './subjects/subject-list.tsx'

const tabs = [
  { id: 'application', title: 'Applications' },
  { id: 'user', title: 'People' },
]

export function Subjects({ zone }: ZonePageProps) {
  const tab = useTab(tabs)
  const subject = usePlace().query.get('subject')
  if (subject !== null) return <SubjectDetail key={subject} zone={zone} id={subject} />
  return (
    <Page
      title="Subjects"
      lead="Everybody who was given authority in this zone, and the switch that takes all of it away."
    >
      <Tabs tabs={tabs} current={tab} />
      <SubjectList key={tab} zone={zone} kind={tab === 'user' ? 'user' : 'application'} />
    </Page>
  )
}
