import { useState } from 'preact/hooks'
import { api, inZone, withQuery } from '../../api.ts'
import { Link } from '../../router.tsx'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Facts, Section, Time } from '../../ui/basics.tsx'
import { DetailPage } from '../../ui/detail-page.tsx'
import { DialogButton } from '../../ui/dialog.tsx'
import { counted } from '../../ui/format.ts'
import { Table } from '../../ui/table.tsx'
import { Records } from './records.tsx'
import { RevokeSubject } from './revoke-subject.tsx'
import { type SubjectOverview, subjectName } from './shapes.ts'
import { StatusBadge } from './status-badge.tsx'

interface SubjectDetailProps {
  readonly zone: Zone
  readonly id: string
}

export function SubjectDetail({ zone, id }: SubjectDetailProps) {
  const overview = useData(id, (signal) =>
    api.get<SubjectOverview>(withQuery(inZone(zone.id, '/subjects/overview'), { subject_id: id }), signal),
  )
  const mayWrite = useMay('write')
  const [changes, setChanges] = useState(0)
  const revoked = () => {
    overview.reload()
    setChanges(changes + 1)
  }
  return (
    <DetailPage
      title={overview.value === undefined ? id : subjectName(overview.value.subject)}
      list={{ to: `/zones/${zone.id}/subjects`, title: 'Subjects' }}
      of={overview}
      actions={
        mayWrite &&
        (({ subject }) => (
          <DialogButton kind="danger" label="Revoke everything">
            {(close) => <RevokeSubject zone={zone} subject={subject} onRevoked={revoked} onClose={close} />}
          </DialogButton>
        ))
      }
    >
      {(known) => (
        <>
          <Overview zone={zone} of={known} />
          <Records key={changes} zone={zone} subjectId={id} />
        </>
      )}
    </DetailPage>
  )
}

interface OverviewProps {
  readonly zone: Zone
  readonly of: SubjectOverview
}

function Overview({ zone, of: { subject, governed, approvals, connections } }: OverviewProps) {
  return (
    <>
      <Section>
        <Facts
          of={{
            Id: <code>{subject.subject_id}</code>,
            Kind: subject.application_name === null ? 'Person' : 'Application',
            'Vouched for by': subject.issuer ?? undefined,
            Authority: `${counted(subject.active_sessions, 'active record')} of ${subject.total_sessions}`,
            'First seen': <Time at={subject.first_seen} />,
            'Last seen': <Time at={subject.last_seen} />,
            'Last revoked': <Time at={subject.last_revoked_at} />,
            Approvals: `${approvals.pending} pending of ${approvals.total}`,
          }}
        />
      </Section>
      <Section title={`Governed sessions: ${governed.active} active of ${governed.total}`}>
        <Table
          rows={governed.recent}
          keyOf={({ session_id }) => session_id}
          columns={[
            {
              title: 'Session',
              cell: ({ session_id }) => (
                <Link to={`/zones/${zone.id}/sessions/${session_id}`}>
                  <code>{session_id}</code>
                </Link>
              ),
            },
            {
              title: 'Application',
              cell: ({ application_name, application_id }) => application_name ?? application_id,
            },
            { title: 'Lifecycle', cell: ({ lifecycle }) => lifecycle },
            { title: 'Status', cell: ({ status }) => <StatusBadge status={status} /> },
            { title: 'Started', cell: ({ started_at }) => <Time at={started_at} /> },
          ]}
          empty="No agent session runs under this subject."
        />
      </Section>
      {connections.length > 0 && (
        <Section title="Connected accounts">
          <Table
            rows={connections}
            keyOf={({ id }) => id}
            columns={[
              { title: 'Provider', cell: ({ provider_name }) => provider_name },
              { title: 'Status', cell: ({ status }) => <StatusBadge status={status} /> },
              { title: 'Connected', cell: ({ created_at }) => <Time at={created_at} /> },
              { title: 'Expires', cell: ({ expires_at }) => <Time at={expires_at} /> },
            ]}
            empty=""
          />
        </Section>
      )}
    </>
  )
}
