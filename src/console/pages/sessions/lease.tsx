import { Badge, Time } from '../../ui/basics.tsx'
import { endOf, isLive, type Session } from './shapes.ts'

/** Whether a live session is still kept alive, and until when. */
export function Lease({ session }: { readonly session: Session }) {
  const end = endOf(session)
  if (!isLive(session) || end === null) return <span class="faint">–</span>
  const over = Date.parse(end) <= Date.now()
  if (session.lifecycle === 'task') {
    if (over) return <Badge tone="warn">time is up</Badge>
    return (
      <>
        ends <Time at={end} />
      </>
    )
  }
  if (session.status === 'suspended') return <span class="faint">paused</span>
  if (over) return <Badge tone="bad">no heartbeat</Badge>
  return (
    <>
      <Badge tone="ok">healthy</Badge> due <Time at={end} />
    </>
  )
}
