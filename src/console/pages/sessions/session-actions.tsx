/** Suspend, resume and end a session, for whoever may. */
import { api, inCoordinator, withQuery } from '../../api.ts'
import { useMay } from '../../state/session.tsx'
import { ConfirmButton, SwitchButton } from '../../ui/dialog.tsx'
import { counted } from '../../ui/format.ts'
import { isLive, type Session } from './shapes.ts'

interface SessionActionsProps {
  readonly zoneId: string
  readonly session: Session
  /** Direct ones; null while not known. */
  readonly liveChildren: number | null
  readonly onChanged: () => void
}

export function SessionActions({ zoneId, session, liveChildren, onChanged }: SessionActionsProps) {
  const may = useMay('write')
  if (!may || !isLive(session)) return null
  const path = inCoordinator(zoneId, `/agents/${session.id}`)
  const perform = (act: () => Promise<unknown>) => async () => {
    await act()
    onChanged()
  }
  const children = liveChildren ? ` with ${counted(liveChildren, 'child', 'children')} and all below` : ''
  return (
    <>
      <SwitchButton
        isOn={session.status === 'active'}
        off={{
          title: 'Suspend this session?',
          action: 'Suspend',
          onConfirm: perform(() => api.post(`${path}/suspend`)),
          children: (
            <p>
              Until somebody resumes it, this session{children} gets no mandates, and its calls through the
              gateway are refused.
            </p>
          ),
        }}
        on={{
          title: 'Resume this session?',
          action: 'Resume',
          danger: false,
          onConfirm: perform(() => api.post(`${path}/resume`)),
          children: <p>The session, and what was suspended with it, can get mandates again.</p>,
        }}
      />
      <ConfirmButton
        title="Terminate this session?"
        action="Terminate"
        onConfirm={perform(() => api.remove(withQuery(path, { reason: 'operator' })))}
      >
        <p>
          This session{children} ends. Delegations from and to what ends are revoked, and the mandates that
          were made for it are refused from now on. This cannot be taken back.
        </p>
      </ConfirmButton>
    </>
  )
}
