import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { navigate } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { Button, Secret } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Form, TextField } from '../../ui/form.tsx'
import { Environment } from '../definitions/environment.tsx'

interface Created {
  readonly id: string
  readonly name: string
  readonly client_secret: string
}

interface CreateProps {
  readonly zone: Zone
  readonly onCreated: () => void
  readonly onClose: () => void
}

/** Asks for a name, then shows the secret and the variables, once. */
export function CreateApplication({ zone, onCreated, onClose }: CreateProps) {
  const [created, setCreated] = useState<Created>()
  if (created === undefined)
    return (
      <Dialog title="New application" onClose={onClose}>
        <Form
          action="Create"
          onCancel={onClose}
          onSubmit={async (values) => {
            const body = { name: values.text('name'), registration_method: 'managed' }
            setCreated(await api.post<Created>(inZone(zone.id, '/applications'), body))
            onCreated()
          }}
        >
          <TextField
            name="name"
            label="Name"
            placeholder="stock-agent"
            hint="What people call the program. Its id and its secret are made for it."
            autoFocus
            required
          />
        </Form>
      </Dialog>
    )
  return (
    <Dialog title={`${created.name} is ready`} side onClose={onClose}>
      <Secret name="Client secret" value={created.client_secret} />
      <h3>Its environment</h3>
      <Environment zoneId={zone.id} applicationId={created.id} secret={created.client_secret} />
      <div class="form-end">
        <Button onClick={() => navigate(`/zones/${zone.id}/applications/${created.id}`)}>
          Open the application
        </Button>
        <Button kind="primary" onClick={onClose}>
          Done
        </Button>
      </div>
    </Dialog>
  )
}
