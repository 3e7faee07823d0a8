/** One application: its secret, its environment, what it is called. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { navigate } from '../../router.tsx'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Button, Facts, Failure, Page, Secret, Section, Time } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { Environment } from '../definitions/environment.tsx'
import { Back, Badges } from '../definitions/names.tsx'
import type { Application } from '../definitions/shapes.ts'
import { useSecret } from '../definitions/use-secret.ts'
import { credentialOf, typeOf } from './describe.ts'
import { EditApplication } from './edit.tsx'

type Asked = 'edit' | 'rotate' | 'archive'

export function ApplicationPage({ zone, id }: { readonly zone: Zone; readonly id: string }) {
  const path = inZone(zone.id, `/applications/${encodeURIComponent(id)}`)
  const list = `/zones/${zone.id}/applications`
  const application = useData(path, (signal) => api.get<Application>(path, signal))
  const secret = useSecret(async () => {
    const answer = await api.get<{ client_secret: string }>(`${path}/client-secret`)
    return answer.client_secret
  })
  const mayWrite = useMay('write')
  const [asked, setAsked] = useState<Asked>()
  const close = () => setAsked(undefined)
  const row = application.value
  const mayHandleSecret = mayWrite && row?.registration_method === 'managed'
  return (
    <Page
      title={row?.name ?? 'Application'}
      lead={<Back to={list} title="Applications" />}
      actions={
        mayWrite &&
        row !== undefined && (
          <>
            <Button onClick={() => setAsked('edit')}>Edit</Button>
            {mayHandleSecret && <Button onClick={() => setAsked('rotate')}>Rotate secret</Button>}
            <Button kind="danger" onClick={() => setAsked('archive')}>
              Archive
            </Button>
          </>
        )
      }
    >
      <Async of={application}>
        {(one) => (
          <>
            <Section>
              <ApplicationFacts of={one} />
            </Section>
            <Section
              title="Environment"
              actions={
                mayHandleSecret &&
                (secret.value === undefined ? (
                  <Button onClick={secret.show}>Reveal secret</Button>
                ) : (
                  <Button onClick={secret.hide}>Hide secret</Button>
                ))
              }
            >
              {secret.error !== undefined && <Failure error={secret.error} />}
              {secret.value !== undefined && <Secret name="Client secret" value={secret.value} />}
              <Environment zoneId={zone.id} applicationId={one.id} secret={secret.value} />
              {mayHandleSecret && <p class="hint">Revealing the secret is written to the audit.</p>}
            </Section>
            {asked === 'edit' && (
              <EditApplication path={path} application={one} onSaved={application.reload} onClose={close} />
            )}
          </>
        )}
      </Async>
      {asked === 'rotate' && (
        <Confirm
          title="Rotate the secret"
          action="Rotate"
          onClose={close}
          onConfirm={async () => {
            const made = await api.post<{ client_secret: string }>(`${path}/rotate-secret`)
            secret.put(made.client_secret)
            application.reload()
          }}
        >
          The present secret stops working at once. Programs that hold it get no more mandates until they have
          the new one.
        </Confirm>
      )}
      {asked === 'archive' && (
        <Confirm
          title="Archive the application"
          action="Archive"
          onClose={close}
          onConfirm={async () => {
            await api.remove(path)
            navigate(list)
          }}
        >
          <strong>{row?.name}</strong> stops working at once: its secret is deleted, it gets no more mandates
          and can no longer manage its sessions. This cannot be taken back.
        </Confirm>
      )}
    </Page>
  )
}

function ApplicationFacts({ of }: { readonly of: Application }) {
  const { tone, text } = credentialOf(of)
  return (
    <Facts
      of={{
        'Application id': <code>{of.id}</code>,
        Type: typeOf(of),
        Secret: <Badge tone={tone}>{text}</Badge>,
        ...(of.expires_at === null ? {} : { Expires: <Time at={of.expires_at} /> }),
        Created: <Time at={of.created_at} />,
        Changed: <Time at={of.updated_at} />,
        ...(of.traits === undefined || of.traits.length === 0 ? {} : { Traits: <Badges of={of.traits} /> }),
      }}
    />
  )
}
