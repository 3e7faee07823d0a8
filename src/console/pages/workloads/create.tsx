import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { navigate } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { Button, Secret } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Form, TextField } from '../../ui/form.tsx'
import type { Workload } from '../definitions/shapes.ts'
import { Launch } from './launch.tsx'

interface CreateProps {
  readonly zone: Zone
  readonly onCreated: () => void
  readonly onClose: () => void
}

/** Asks for a name, then shows the secret and how to launch, once. */
export function CreateWorkload({ zone, onCreated, onClose }: CreateProps) {
  const [created, setCreated] = useState<Workload & { readonly secret: string }>()
  if (created === undefined)
    return (
      <Dialog title="New workload" onClose={onClose}>
        <Form
          action="Create"
          onCancel={onClose}
          onSubmit={async (values) => {
            const body = { name: values.text('name') }
            setCreated(await api.post(inZone(zone.id, '/workloads'), body))
            onCreated()
          }}
        >
          <TextField name="name" label="Name" placeholder="nightly-report" autoFocus required />
        </Form>
      </Dialog>
    )
  return (
    <Dialog title={`${created.name} is ready`} side onClose={onClose}>
      <Secret name="Workload secret" value={created.secret} />
      <Launch workloadId={created.id} secret={created.secret} />
      <div class="form-end">
        <Button onClick={onClose}>Done</Button>
        <Button kind="primary" onClick={() => navigate(`/zones/${zone.id}/workloads/${created.id}`)}>
          Add its credentials
        </Button>
      </div>
    </Dialog>
  )
}
