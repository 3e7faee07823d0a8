/** Suspend, resume and end a session, for whoever may. */
import { useState } from 'preact/hooks'
import { api, inCoordinator, withQuery } from '../../api.ts'
import { useMay } from '../../state/session.tsx'
import { Button } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { counted } from '../../ui/format.ts'
import { isLive, type Session } from './shapes.ts'

interface SessionActionsProps {
  readonly zoneId: string
  readonly session: Session
  /** Direct ones; null while not known. */
  readonly liveChildren: number | null
  readonly onChanged: () => void
}

type Action = 'suspend' | 'resume' | 'terminate'

export function SessionActions({ zoneId, session, liveChildren, onChanged }: SessionActionsProps) {
  const may = useMay('write')
  const [asked, setAsked] = useState<Action>()
  if (!may || !isLive(session)) return null
  const path = inCoordinator(zoneId, `/agents/${session.id}`)
  const close = () => setAsked(undefined)
  const perform = (act: () => Promise<unknown>) => async () => {
    await act()
    onChanged()
  }
  const children = liveChildren ? ` with ${counted(liveChildren, 'child', 'children')} and all below` : ''
  return (
    <>
      {session.status === 'active' ? (
        <Button onClick={() => setAsked('suspend')}>Suspend</Button>
      ) : (
        <Button onClick={() => setAsked('resume')}>Resume</Button>
      )}
      <Button kind="danger" onClick={() => setAsked('terminate')}>
        Terminate
      </Button>
      {asked === 'suspend' && (
        <Confirm
          title="Suspend this session?"
          action="Suspend"
          onConfirm={perform(() => api.post(`${path}/suspend`))}
          onClose={close}
        >
          <p>
            Until somebody resumes it, this session{children} gets no mandates, and its calls through the
            gateway are refused.
          </p>
        </Confirm>
      )}
      {asked === 'resume' && (
        <Confirm
          title="Resume this session?"
          action="Resume"
          danger={false}
          onConfirm={perform(() => api.post(`${path}/resume`))}
          onClose={close}
        >
          <p>The session, and what was suspended with it, can get mandates again.</p>
        </Confirm>
      )}
      {asked === 'terminate' && (
        <Confirm
          title="Terminate this session?"
          action="Terminate"
          onConfirm={perform(() => api.remove(withQuery(path, { reason: 'operator' })))}
          onClose={close}
        >
          <p>
            This session{children} ends. Delegations from and to what ends are revoked, and the mandates that
            were made for it are refused from now on. This cannot be taken back.
          </p>
        </Confirm>
      )}
    </>
  )
}
