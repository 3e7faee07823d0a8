/** One session: what it is, what it may do, where its authority comes from and goes to, what it did. */
import { api, inCoordinator } from '../../api.ts'
import { Link, navigate } from '../../router.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Facts, Id, Json, Section, Time } from '../../ui/basics.tsx'
import { DetailPage } from '../../ui/detail-page.tsx'
import { liveMs } from '../../ui/feed.tsx'
import { Named, type Names } from '../../ui/names.tsx'
import { EffectiveAuthority } from './effective-authority.tsx'
import { Lease } from './lease.tsx'
import { RecordFacts } from './record-facts.tsx'
import { SessionActions } from './session-actions.tsx'
import { SessionAudit } from './session-audit.tsx'
import { SessionDelegations } from './session-delegations.tsx'
import { SessionTable } from './session-table.tsx'
import { treeOf } from './session-tree.ts'
import { isLive, type Session, taskOf, tones } from './shapes.ts'

interface SessionDetailProps {
  readonly zoneId: string
  readonly id: string
  readonly names: Names
}

export function SessionDetail({ zoneId, id, names }: SessionDetailProps) {
  const path = inCoordinator(zoneId, `/agents/${encodeURIComponent(id)}`)
  const session = useData(path, (signal) => api.get<Session>(path, signal), { refreshMs: liveMs })
  const children = useData(`${path}/children`, (signal) => api.list<Session>(`${path}/children`, signal), {
    refreshMs: liveMs,
  })
  const list = `/zones/${zoneId}/sessions`
  const reload = () => {
    session.reload()
    children.reload()
  }
  const liveChildren = children.value?.filter(isLive).length ?? null
  return (
    <DetailPage
      title={(session.value && taskOf(session.value)) ?? 'Session'}
      list={{ to: list, title: 'Sessions' }}
      of={session}
      actions={(one) => (
        <SessionActions zoneId={zoneId} session={one} liveChildren={liveChildren} onChanged={reload} />
      )}
    >
      {(found) => (
        <>
          <Section>
            <SessionFacts session={found} list={list} names={names} />
            <RecordFacts zoneId={zoneId} id={found.subject_authority_record_id} names={names} />
          </Section>
          <EffectiveAuthority zoneId={zoneId} session={found} />
          <SessionDelegations zoneId={zoneId} id={id} names={names} />
          <Section title="Children">
            <Async of={children}>
              {(rows) => (
                <SessionTable
                  rows={treeOf(rows)}
                  names={names}
                  onOpen={(child) => navigate(`${list}/${child.id}`)}
                  empty="This session has started no others."
                />
              )}
            </Async>
          </Section>
          <SessionAudit zoneId={zoneId} id={id} names={names} />
        </>
      )}
    </DetailPage>
  )
}

interface SessionFactsProps {
  readonly session: Session
  readonly list: string
  readonly names: Names
}

function SessionFacts({ session, list, names }: SessionFactsProps) {
  const metadata = Object.keys(session.metadata ?? {}).filter((name) => name !== 'task')
  return (
    <>
      <Facts
        of={{
          Status: <Badge tone={tones[session.status] ?? 'idle'}>{session.status}</Badge>,
          Lease: <Lease session={session} />,
          Id: <code>{session.id}</code>,
          Application: <Named id={session.application_id} names={names} />,
          Kind: session.lifecycle,
          Task: taskOf(session),
          Labels: session.labels.join(', '),
          Parent:
            session.parent_id === null ? (
              'none'
            ) : (
              <Link to={`${list}/${session.parent_id}`}>
                <Id value={session.parent_id} />
              </Link>
            ),
          Depth: session.depth,
          Started: <Time at={session.started_at} />,
          'Last heartbeat': session.last_heartbeat_at ? <Time at={session.last_heartbeat_at} /> : undefined,
          'Lease generation': session.lifecycle === 'service' ? session.lease_generation : undefined,
          Suspended: session.suspended_at ? <Time at={session.suspended_at} /> : undefined,
          Ended: session.terminated_at ? <Time at={session.terminated_at} /> : undefined,
          'Ended because': session.termination_reason?.replaceAll('_', ' '),
        }}
      />
      {metadata.length > 0 && (
        <details>
          <summary>Metadata</summary>
          <Json value={session.metadata} />
        </details>
      )}
    </>
  )
}
