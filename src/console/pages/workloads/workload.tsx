/** One workload: how it is launched, and what it gets. */
import { api, inZone } from '../../api.ts'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Facts, Section, Time } from '../../ui/basics.tsx'
import { DetailPage, RemoveButton } from '../../ui/detail-page.tsx'
import { Dialog, DialogButton } from '../../ui/dialog.tsx'
import { Form, TextField } from '../../ui/form.tsx'
import { RotateSecret, SecretSection } from '../definitions/secret-section.tsx'
import type { Binding, Workload } from '../definitions/shapes.ts'
import { useSecret } from '../definitions/use-secret.ts'
import { Bindings } from './bindings.tsx'
import { Launch } from './launch.tsx'

export function WorkloadPage({ zone, id }: { readonly zone: Zone; readonly id: string }) {
  const path = inZone(zone.id, `/workloads/${encodeURIComponent(id)}`)
  const list = { to: `/zones/${zone.id}/workloads`, title: 'Launcher' }
  const workload = useData(path, (signal) => api.get<Workload>(path, signal))
  const secret = useSecret(
    async () => (await api.get<{ secret: string }>(`${path}/secret`)).secret,
    async () => (await api.post<{ secret: string }>(`${path}/rotate-secret`)).secret,
  )
  const mayWrite = useMay('write')
  const change = async (to: { readonly name?: string; readonly bindings?: readonly Binding[] }) => {
    await api.put(path, to)
    workload.reload()
  }
  return (
    <DetailPage
      title={workload.value?.name ?? 'Workload'}
      list={list}
      of={workload}
      actions={
        mayWrite &&
        ((one) => (
          <>
            <DialogButton label="Rename">
              {(close) => <Rename name={one.name} onRename={(name) => change({ name })} onClose={close} />}
            </DialogButton>
            <RotateSecret secret={secret} onRotated={workload.reload}>
              The present secret stops working at once: nothing can be launched with it any more. Programs
              that run already keep their credentials.
            </RotateSecret>
            <RemoveButton action="Delete" title="Delete the workload" path={path} list={list}>
              <strong>{one.name}</strong> and its secret are deleted; nothing can be launched as it any more.
              Programs that run already keep their credentials. This cannot be taken back.
            </RemoveButton>
          </>
        ))
      }
    >
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
        </>
      )}
    </DetailPage>
  )
}

interface RenameProps {
  readonly name: string
  readonly onRename: (name: string) => Promise<unknown>
  readonly onClose: () => void
}

function Rename({ name, onRename, onClose }: RenameProps) {
  return (
    <Dialog title="Rename the workload" onClose={onClose}>
      <Form
        action="Rename"
        onCancel={onClose}
        onSubmit={async (values) => {
          await onRename(values.text('name'))
          onClose()
        }}
      >
        <TextField name="name" label="Name" value={name} required autoFocus />
      </Form>
    </Dialog>
  )
}
