/** The trace of an event's request; of the event alone where there is none. */
import { Link } from '../../router.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import type { Names } from '../../ui/names.tsx'
import { type FullAuditEvent, traceOf } from './event.ts'
import { EventCard } from './event-card.tsx'
import { Trace } from './trace.tsx'

interface EventDialogProps {
  readonly event: FullAuditEvent
  readonly zoneId: string
  readonly names: Names
  readonly onClose: () => void
}

export function EventDialog({ event, zoneId, names, onClose }: EventDialogProps) {
  const { request_id: requestId } = event
  return (
    <Dialog title="Decision trace" side onClose={onClose}>
      {requestId === null ? (
        <EventCard event={event} place="1 of 1" zoneId={zoneId} names={names} policyInput={undefined} />
      ) : (
        <>
          <p>
            <Link to={traceOf(zoneId, requestId)}>Open as a page</Link>
          </p>
          <Trace zoneId={zoneId} requestId={requestId} names={names} />
        </>
      )}
    </Dialog>
  )
}
