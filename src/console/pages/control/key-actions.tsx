/** What can be done with a key. */
import { api } from '../../api.ts'
import type { Zone } from '../../state/session.tsx'
import { type ListPlace, RemoveButton } from '../../ui/detail-page.tsx'
import { Dialog, DialogButton } from '../../ui/dialog.tsx'
import { RotateSecret } from '../definitions/secret-section.tsx'
import type { Application } from '../definitions/shapes.ts'
import type { HeldSecret } from '../definitions/use-secret.ts'
import type { EndpointState } from './endpoint-state.ts'
import { IssueToken } from './issue-token.tsx'
import { rightsOf, traitsFor } from './key.ts'
import { type KeyDraft, KeyForm } from './key-form.tsx'
import { prepareZone } from './prepare-zone.ts'

interface KeyActionsProps {
  readonly zone: Zone
  readonly list: ListPlace
  readonly path: string
  readonly application: Application
  readonly endpoint: EndpointState
  readonly secret: HeldSecret
  readonly onChanged: () => void
}

export function KeyActions({ zone, list, path, application, endpoint, secret, onChanged }: KeyActionsProps) {
  const save = async (draft: KeyDraft) => {
    await prepareZone(zone.id, endpoint.audience)
    await api.patch(path, { name: draft.name, traits: traitsFor(draft, application.traits) })
    onChanged()
  }
  return (
    <>
      <DialogButton kind="primary" label="Issue token">
        {(close) => (
          <IssueToken zoneId={zone.id} application={application} endpoint={endpoint} onClose={close} />
        )}
      </DialogButton>
      <DialogButton label="Edit">
        {(close) => (
          <Dialog title="Edit the key" side onClose={close}>
            <KeyForm
              action="Save"
              draft={{ name: application.name, ...rightsOf(application) }}
              onSubmit={async (draft) => {
                await save(draft)
                close()
              }}
              onClose={close}
            />
          </Dialog>
        )}
      </DialogButton>
      <RotateSecret secret={secret} onRotated={onChanged}>
        The present secret stops working at once. Programs that hold it get no more tokens until they have the
        new one.
      </RotateSecret>
      <RemoveButton action="Archive" title="Archive the key" path={path} list={list}>
        <strong>{application.name}</strong> stops working at once: its secret is deleted and it gets no more
        tokens. This cannot be taken back.
      </RemoveButton>
    </>
  )
}
