/** One application: its secret, its environment, what it is called. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { navigate } from '../../router.tsx'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Button, Facts, Page, Section, Time } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { Environment } from '../definitions/environment.tsx'
import { Back, Badges } from '../definitions/names.tsx'
import { RotateSecret, SecretSection } from '../definitions/secret-section.tsx'
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
            <SecretSection
              title="Environment"
              name="Client secret"
              secret={secret}
              mayReveal={mayHandleSecret}
            >
              <Environment zoneId={zone.id} applicationId={one.id} secret={secret.value} />
            </SecretSection>
            {asked === 'edit' && (
              <EditApplication path={path} application={one} onSaved={application.reload} onClose={close} />
            )}
          </>
        )}
      </Async>
      {asked === 'rotate' && (
        <RotateSecret
          rotate={async () =>
            (await api.post<{ client_secret: string }>(`${path}/rotate-secret`)).client_secret
          }
          secret={secret}
          onRotated={application.reload}
          onClose={close}
        >
          The present secret stops working at once. Programs that hold it get no more mandates until they have
          the new one.
        </RotateSecret>
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
