/** One sink: where it sends to, how that goes, and what was sent. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { navigate } from '../../router.tsx'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Button, Facts, Notice, Page, Section, Time } from '../../ui/basics.tsx'
import { Confirm, Dialog } from '../../ui/dialog.tsx'
import { Form } from '../../ui/form.tsx'
import { counted } from '../../ui/format.ts'
import { Back } from '../definitions/names.tsx'
import { Checking } from './checking.tsx'
import { Deliveries } from './deliveries.tsx'
import { SinkFields, sinkFrom } from './fields.tsx'
import { SigningSecret } from './signing-secret.tsx'
import { eventName, type NewSecret, type Sink, stateOf } from './sink.ts'

const refreshMs = 10_000

export function SinkPage({ zone, id }: { readonly zone: Zone; readonly id: string }) {
  const path = inZone(zone.id, `/notification-sinks/${encodeURIComponent(id)}`)
  const list = `/zones/${zone.id}/notifications`
  const sink = useData(path, (signal) => api.get<Sink>(path, signal), { refreshMs })
  const mayWrite = useMay('write')
  const [asked, setAsked] = useState<'edit' | 'pause' | 'resume' | 'rotate' | 'delete'>()
  const [secret, setSecret] = useState<string>()
  const close = () => setAsked(undefined)
  const change = async (to: Partial<Pick<Sink, 'name' | 'url' | 'event_types' | 'active'>>) => {
    await api.patch(path, to)
    sink.reload()
  }
  const row = sink.value
  return (
    <Page
      title={row?.name ?? 'Sink'}
      lead={<Back to={list} title="Notifications" />}
      actions={
        mayWrite &&
        row !== undefined && (
          <>
            <Button onClick={() => setAsked('edit')}>Edit</Button>
            {row.active ? (
              <Button onClick={() => setAsked('pause')}>Pause</Button>
            ) : (
              <Button onClick={() => setAsked('resume')}>Resume</Button>
            )}
            <Button onClick={() => setAsked('rotate')}>Rotate secret</Button>
            <Button kind="danger" onClick={() => setAsked('delete')}>
              Delete
            </Button>
          </>
        )
      }
    >
      <Async of={sink}>
        {(one) => (
          <>
            {secret !== undefined && <SigningSecret value={secret} />}
            <SinkFacts of={one} />
            <Deliveries zone={zone} sinkId={one.id} active={one.active} />
            <Checking />
            {asked === 'edit' && (
              <Dialog title={`Edit “${one.name}”`} onClose={close}>
                <Form
                  action="Save"
                  onCancel={close}
                  onSubmit={async (values) => {
                    const { url, ...rest } = sinkFrom(values)
                    // A new address forgets the failures of the old one; the same is none.
                    await change(url === one.url ? rest : { url, ...rest })
                    close()
                  }}
                >
                  <SinkFields of={one} />
                </Form>
              </Dialog>
            )}
          </>
        )}
      </Async>
      {asked === 'pause' && (
        <Confirm
          title="Pause the sink?"
          action="Pause"
          danger={false}
          onClose={close}
          onConfirm={() => change({ active: false })}
        >
          Nothing is sent to <strong>{row?.name}</strong> until somebody resumes it. What happens meanwhile is
          sent then.
        </Confirm>
      )}
      {asked === 'resume' && (
        <Confirm
          title="Resume the sink?"
          action="Resume"
          danger={false}
          onClose={close}
          onConfirm={() => change({ active: true })}
        >
          What happened since it was paused is sent to <strong>{row?.name}</strong> first.
        </Confirm>
      )}
      {asked === 'rotate' && (
        <Confirm
          title="Rotate the signing secret"
          action="Rotate"
          onClose={close}
          onConfirm={async () => {
            setSecret((await api.post<NewSecret>(`${path}/rotate-secret`)).secret)
            sink.reload()
          }}
        >
          What is sent from now on is signed with a new secret. The receiver has to know it, or it takes
          nothing for ours.
        </Confirm>
      )}
      {asked === 'delete' && (
        <Confirm
          title="Delete the sink"
          action="Delete"
          onClose={close}
          onConfirm={async () => {
            await api.remove(path)
            navigate(list)
          }}
        >
          <strong>{row?.name}</strong> is deleted with its deliveries, also those that wait to be sent. This
          cannot be taken back.
        </Confirm>
      )}
    </Page>
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
