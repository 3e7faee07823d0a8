/** One zone at a glance: what holds, what happened lately, what needs somebody. */
import { api, inZone } from '../api.ts'
import { Link, navigate } from '../router.tsx'
import { useSurroundings } from '../state/session.tsx'
import { useData } from '../state/use-data.ts'
import { Async, Button, Notice, Page, Section, Time } from '../ui/basics.tsx'
import { liveMs } from '../ui/feed.tsx'
import { Attentions } from './dashboard/attentions.tsx'
import { Figures } from './dashboard/figures.tsx'
import { attentionOf, isEmpty, type Overview } from './dashboard/overview.ts'
import { RecentEvents } from './dashboard/recent-events.tsx'
import type { ZonePageProps } from './index.tsx'

/** Live sessions are counted up to here; "100+" says as much as any number. */
const countedSessions = 100

interface Glance {
  readonly overview: Overview
  readonly pendingApprovals: number
  readonly liveSessions: string
}

async function look(zoneId: string, signal: AbortSignal): Promise<Glance> {
  const [overview, approvals, sessions] = await Promise.all([
    api.get<Overview>(inZone(zoneId, '/overview'), signal),
    api.get<{ readonly pending: number }>(inZone(zoneId, '/approvals/counts'), signal),
    api.page(inZone(zoneId, `/sessions?status=active&limit=${countedSessions}`), signal),
  ])
  return {
    overview,
    pendingApprovals: approvals.pending,
    liveSessions: `${sessions.items.length}${sessions.next_cursor ? '+' : ''}`,
  }
}

export function Dashboard({ zone }: ZonePageProps) {
  const glance = useData(`overview ${zone.id}`, (signal) => look(zone.id, signal), { refreshMs: liveMs })
  const home = `/zones/${zone.id}`
  return (
    <Page title="Dashboard" lead={`What agents may do in ${zone.name}, and what they did.`}>
      <Async of={glance}>
        {({ overview, pendingApprovals, liveSessions }) =>
          isEmpty(overview) ? (
            <EmptyZone home={home} />
          ) : (
            <>
              <Posture overview={overview} home={home} />
              <Attentions of={attentionOf(overview, pendingApprovals)} home={home} />
              <Figures
                overview={overview}
                pendingApprovals={pendingApprovals}
                liveSessions={liveSessions}
                home={home}
              />
              <Section title="Recent activity" actions={<Link to={`${home}/audit`}>All activity</Link>}>
                <RecentEvents events={overview.recent_events} zoneId={zone.id} />
              </Section>
              <p class="hint">
                As of <Time at={overview.generated_at} />; asked again every 10 seconds.
              </p>
            </>
          )
        }
      </Async>
    </Page>
  )
}

function EmptyZone({ home }: { readonly home: string }) {
  const { readOnly } = useSurroundings()
  if (readOnly) return <Section title="This zone is empty">Nothing is defined in it.</Section>
  return (
    <Section title="This zone is empty">
      <p>
        Name an application, a resource and a policy, and the first protected call goes through. The guided
        setup leads you there.
      </p>
      <Button kind="primary" onClick={() => navigate(`${home}/setup`)}>
        Start the guided setup
      </Button>
    </Section>
  )
}

/** Whether anything decides in the zone, in one sentence. */
function Posture({ overview, home }: { readonly overview: Overview; readonly home: string }) {
  const { enforcing, active_name: name } = overview.policy_sets
  if (enforcing === 0) return null
  return (
    <Notice tone="ok">
      Policy set <Link to={`${home}/policies?tab=sets`}>{name ?? 'without a name'}</Link> is enforcing. What
      it does not grant is denied.
    </Notice>
  )
}
