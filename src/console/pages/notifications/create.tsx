import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { navigate } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { Button } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Form } from '../../ui/form.tsx'
import { SinkFields, sinkFrom } from './fields.tsx'
import { SigningSecret } from './signing-secret.tsx'
import type { NewSecret } from './sink.ts'

interface CreateProps {
  readonly zone: Zone
  readonly onCreated: () => void
  readonly onClose: () => void
}

/** Asks where to and what of, then shows the signing secret, once. */
export function CreateSink({ zone, onCreated, onClose }: CreateProps) {
  const [created, setCreated] = useState<NewSecret>()
  if (created === undefined)
    return (
      <Dialog title="New sink" onClose={onClose}>
        <Form
          action="Create"
          onCancel={onClose}
          onSubmit={async (values) => {
            setCreated(await api.post(inZone(zone.id, '/notification-sinks'), sinkFrom(values)))
            onCreated()
          }}
        >
          <SinkFields />
        </Form>
      </Dialog>
    )
  return (
    <Dialog title={`${created.name} is ready`} onClose={onClose}>
      <SigningSecret value={created.secret} />
      <div class="form-end">
        <Button onClick={onClose}>Done</Button>
        <Button kind="primary" onClick={() => navigate(`/zones/${zone.id}/notifications/${created.id}`)}>
          Look at its deliveries
        </Button>
      </div>
    </Dialog>
  )
}
