import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { navigate } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { Button, Secret } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { traitsFor } from './key.ts'
import { type KeyDraft, KeyForm } from './key-form.tsx'
import { prepareZone } from './prepare-zone.ts'
import { Usage } from './usage.tsx'

interface CreateProps {
  readonly zone: Zone
  readonly audience: string
  readonly onCreated: () => void
  readonly onClose: () => void
}

interface Created {
  readonly id: string
  readonly name: string
  readonly client_secret: string
  readonly scopes: readonly string[]
}

/** Asks what the key may do, then shows its secret and how to use it, once. */
export function CreateKey({ zone, audience, onCreated, onClose }: CreateProps) {
  const [created, setCreated] = useState<Created>()
  const create = async (draft: KeyDraft) => {
    await prepareZone(zone.id, audience)
    const made = await api.post<Omit<Created, 'scopes'>>(inZone(zone.id, '/applications'), {
      name: draft.name,
      registration_method: 'managed',
      traits: traitsFor(draft),
    })
    setCreated({ ...made, scopes: draft.scopes })
    onCreated()
  }
  if (created === undefined)
    return (
      <Dialog title="New Control key" side onClose={onClose}>
        <KeyForm action="Create" onSubmit={create} onClose={onClose} />
      </Dialog>
    )
  return (
    <Dialog title={`${created.name} is ready`} side onClose={onClose}>
      <Secret name="Client secret" value={created.client_secret} />
      <Usage
        applicationId={created.id}
        secret={created.client_secret}
        scopes={created.scopes}
        audience={audience}
      />
      <div class="form-end">
        <Button onClick={() => navigate(`/zones/${zone.id}/control/${created.id}`)}>Open the key</Button>
        <Button kind="primary" onClick={onClose}>
          Done
        </Button>
      </div>
    </Dialog>
  )
}
