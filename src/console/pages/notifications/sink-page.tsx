/** One sink: where it sends to, how that goes, and what was sent. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Badge, Facts, Notice, Section, Time } from '../../ui/basics.tsx'
import { DetailPage, RemoveButton } from '../../ui/detail-page.tsx'
import { ConfirmButton, Dialog, DialogButton, SwitchButton } from '../../ui/dialog.tsx'
import { Form } from '../../ui/form.tsx'
import { counted } from '../../ui/format.ts'
import { Checking } from './checking.tsx'
import { Deliveries } from './deliveries.tsx'
import { SinkFields, sinkFrom } from './fields.tsx'
import { SigningSecret } from './signing-secret.tsx'
import { eventName, type NewSecret, type Sink, stateOf } from './sink.ts'

const refreshMs = 10_000

type Change = Partial<Pick<Sink, 'name' | 'url' | 'event_types' | 'active'>>

export function SinkPage({ zone, id }: { readonly zone: Zone; readonly id: string }) {
  const path = inZone(zone.id, `/notification-sinks/${encodeURIComponent(id)}`)
  const list = { to: `/zones/${zone.id}/notifications`, title: 'Notifications' }
  const sink = useData(path, (signal) => api.get<Sink>(path, signal), { refreshMs })
  const mayWrite = useMay('write')
  const [secret, setSecret] = useState<string>()
  const change = async (to: Change) => {
    await api.patch(path, to)
    sink.reload()
  }
  const rotate = async () => {
    setSecret((await api.post<NewSecret>(`${path}/rotate-secret`)).secret)
    sink.reload()
  }
  return (
    <DetailPage
      title={sink.value?.name ?? 'Sink'}
      list={list}
      of={sink}
      actions={
        mayWrite &&
        ((one) => (
          <>
            <DialogButton label="Edit">
              {(close) => <EditSink of={one} onChange={change} onClose={close} />}
            </DialogButton>
            <SwitchButton
              isOn={one.active}
              off={{
                title: 'Pause the sink?',
                action: 'Pause',
                danger: false,
                onConfirm: () => change({ active: false }),
                children: (
                  <>
                    Nothing is sent to <strong>{one.name}</strong> until somebody resumes it. What happens
                    meanwhile is sent then.
                  </>
                ),
              }}
              on={{
                title: 'Resume the sink?',
                action: 'Resume',
                danger: false,
                onConfirm: () => change({ active: true }),
                children: (
                  <>
                    What happened since it was paused is sent to <strong>{one.name}</strong> first.
                  </>
                ),
              }}
            />
            <ConfirmButton
              kind="plain"
              label="Rotate secret"
              title="Rotate the signing secret"
              action="Rotate"
              onConfirm={rotate}
            >
              What is sent from now on is signed with a new secret. The receiver has to know it, or it takes
              nothing for ours.
            </ConfirmButton>
            <RemoveButton action="Delete" title="Delete the sink" path={path} list={list}>
              <strong>{one.name}</strong> is deleted with its deliveries, also those that wait to be sent.
              This cannot be taken back.
            </RemoveButton>
          </>
        ))
      }
    >
      {(one) => (
        <>
          {secret !== undefined && <SigningSecret value={secret} />}
          <SinkFacts of={one} />
          <Deliveries zone={zone} sinkId={one.id} active={one.active} />
          <Checking />
        </>
      )}
    </DetailPage>
  )
}

interface EditSinkProps {
  readonly of: Sink
  readonly onChange: (to: Change) => Promise<unknown>
  readonly onClose: () => void
}

function EditSink({ of, onChange, onClose }: EditSinkProps) {
  return (
    <Dialog title={`Edit “${of.name}”`} onClose={onClose}>
      <Form
        action="Save"
        onCancel={onClose}
        onSubmit={async (values) => {
          const { url, ...rest } = sinkFrom(values)
          // A new address forgets the failures of the old one; the same is none.
          await onChange(url === of.url ? rest : { url, ...rest })
          onClose()
        }}
      >
        <SinkFields of={of} />
      </Form>
    </Dialog>
  )
}

function SinkFacts({ of }: { readonly of: Sink }) {
  const { tone, text } = stateOf(of)
  const { consecutive_failures: failures, last_error } = of
  return (
    <Section>
      {last_error !== null && (
        <Notice tone="bad">
          <p>
            {failures > 0 && <>{counted(failures, 'failure')} in a row. </>}
            The last: {last_error}.
          </p>
        </Notice>
      )}
      <Facts
        of={{
          URL: <code>{of.url}</code>,
          'Hears of': of.event_types.map(eventName).join(', '),
          State: <Badge tone={tone}>{text}</Badge>,
          'Last delivered': <Time at={of.last_success_at} />,
          'Last failed': <Time at={of.last_failure_at} />,
          Created: <Time at={of.created_at} />,
          Changed: <Time at={of.updated_at} />,
          Id: <code>{of.id}</code>,
        }}
      />
    </Section>
  )
}
