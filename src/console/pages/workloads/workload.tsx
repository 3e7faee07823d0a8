/** One workload: how it is launched, and what it gets. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { navigate } from '../../router.tsx'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Button, Facts, Page, Section, Time } from '../../ui/basics.tsx'
import { Confirm, Dialog } from '../../ui/dialog.tsx'
import { Form, TextField } from '../../ui/form.tsx'
import { Back } from '../definitions/names.tsx'
import { RotateSecret, SecretSection } from '../definitions/secret-section.tsx'
import type { Binding, Workload } from '../definitions/shapes.ts'
import { useSecret } from '../definitions/use-secret.ts'
import { Bindings } from './bindings.tsx'
import { Launch } from './launch.tsx'

export function WorkloadPage({ zone, id }: { readonly zone: Zone; readonly id: string }) {
  const path = inZone(zone.id, `/workloads/${encodeURIComponent(id)}`)
  const list = `/zones/${zone.id}/workloads`
  const workload = useData(path, (signal) => api.get<Workload>(path, signal))
  const secret = useSecret(async () => (await api.get<{ secret: string }>(`${path}/secret`)).secret)
  const mayWrite = useMay('write')
  const [asked, setAsked] = useState<'rename' | 'rotate' | 'delete'>()
  const close = () => setAsked(undefined)
  const change = async (to: { readonly name?: string; readonly bindings?: readonly Binding[] }) => {
    await api.put(path, to)
    workload.reload()
  }
  const row = workload.value
  return (
    <Page
      title={row?.name ?? 'Workload'}
      lead={<Back to={list} title="Launcher" />}
      actions={
        mayWrite &&
        row !== undefined && (
          <>
            <Button onClick={() => setAsked('rename')}>Rename</Button>
            <Button onClick={() => setAsked('rotate')}>Rotate secret</Button>
            <Button kind="danger" onClick={() => setAsked('delete')}>
              Delete
            </Button>
          </>
        )
      }
    >
      <Async of={workload}>
        {(one) => (
          <>
            <Section>
              <Facts
                of={{
                  'Workload id': <code>{one.id}</code>,
                  Created: <Time at={one.created_at} />,
                  Changed: <Time at={one.updated_at} />,
                }}
              />
            </Section>
            <SecretSection title="Launch" name="Workload secret" secret={secret} mayReveal={mayWrite}>
              <Launch workloadId={one.id} secret={secret.value} />
            </SecretSection>
            <Bindings zone={zone} bindings={one.bindings} onSave={(bindings) => change({ bindings })} />
            {asked === 'rename' && (
              <Dialog title="Rename the workload" onClose={close}>
                <Form
                  action="Rename"
                  onCancel={close}
                  onSubmit={async (values) => {
                    await change({ name: values.text('name') })
                    close()
                  }}
                >
                  <TextField name="name" label="Name" value={one.name} required autoFocus />
                </Form>
              </Dialog>
            )}
          </>
        )}
      </Async>
      {asked === 'rotate' && (
        <RotateSecret
          rotate={async () => (await api.post<{ secret: string }>(`${path}/rotate-secret`)).secret}
          secret={secret}
          onRotated={workload.reload}
          onClose={close}
        >
          The present secret stops working at once: nothing can be launched with it any more. Programs that
          run already keep their credentials.
        </RotateSecret>
      )}
      {asked === 'delete' && (
        <Confirm
          title="Delete the workload"
          action="Delete"
          onClose={close}
          onConfirm={async () => {
            await api.remove(path)
            navigate(list)
          }}
        >
          <strong>{row?.name}</strong> and its secret are deleted; nothing can be launched as it any more.
          Programs that run already keep their credentials. This cannot be taken back.
        </Confirm>
      )}
    </Page>
  )
}
