import { api, inZone, withQuery } from '../../api.ts'
import { Link } from '../../router.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Section } from '../../ui/basics.tsx'
import { liveMs } from '../../ui/feed.tsx'
import type { Names } from '../../ui/names.tsx'
import type { FullAuditEvent } from '../audit/event.ts'
import { EventTable } from '../audit/event-table.tsx'

interface SessionAuditProps {
  readonly zoneId: string
  readonly id: string
  readonly names: Names
}

const shown = 20

/** What the ledger has of a session, newest first. */
export function SessionAudit({ zoneId, id, names }: SessionAuditProps) {
  const path = withQuery(inZone(zoneId, '/audit'), { session_id: id, limit: shown })
  const found = useData(path, async (signal) => (await api.page<FullAuditEvent>(path, signal)).items, {
    refreshMs: liveMs,
  })
  return (
    <Section
      title="What it did"
      actions={<Link to={withQuery(`/zones/${zoneId}/audit`, { session_id: id })}>All of it</Link>}
    >
      <Async of={found}>
        {(events) => (
          <EventTable
            events={events}
            zoneId={zoneId}
            names={names}
            empty="The ledger has nothing of this session."
          />
        )}
      </Async>
    </Section>
  )
}
