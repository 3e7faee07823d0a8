/** One application: its secret, its environment, what it is called. */
import { api, inZone } from '../../api.ts'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Badge, Facts, Section, Time } from '../../ui/basics.tsx'
import { DetailPage, RemoveButton } from '../../ui/detail-page.tsx'
import { DialogButton } from '../../ui/dialog.tsx'
import { Environment } from '../definitions/environment.tsx'
import { Badges } from '../definitions/names.tsx'
import { RotateSecret, SecretSection } from '../definitions/secret-section.tsx'
import type { Application } from '../definitions/shapes.ts'
import { useClientSecret } from '../definitions/use-secret.ts'
import { credentialOf, typeOf } from './describe.ts'
import { EditApplication } from './edit.tsx'

export function ApplicationPage({ zone, id }: { readonly zone: Zone; readonly id: string }) {
  const path = inZone(zone.id, `/applications/${encodeURIComponent(id)}`)
  const list = { to: `/zones/${zone.id}/applications`, title: 'Applications' }
  const application = useData(path, (signal) => api.get<Application>(path, signal))
  const secret = useClientSecret(path)
  const mayWrite = useMay('write')
  const mayHandleSecret = mayWrite && application.value?.registration_method === 'managed'
  return (
    <DetailPage
      title={application.value?.name ?? 'Application'}
      list={list}
      of={application}
      actions={
        mayWrite &&
        ((one) => (
          <>
            <DialogButton label="Edit">
              {(close) => (
                <EditApplication path={path} application={one} onSaved={application.reload} onClose={close} />
              )}
            </DialogButton>
            {mayHandleSecret && (
              <RotateSecret secret={secret} onRotated={application.reload}>
                The present secret stops working at once. Programs that hold it get no more mandates until
                they have the new one.
              </RotateSecret>
            )}
            <RemoveButton action="Archive" title="Archive the application" path={path} list={list}>
              <strong>{one.name}</strong> stops working at once: its secret is deleted, it gets no more
              mandates and can no longer manage its sessions. This cannot be taken back.
            </RemoveButton>
          </>
        ))
      }
    >
      {(one) => (
        <>
          <Section>
            <ApplicationFacts of={one} />
          </Section>
          <SecretSection title="Environment" name="Client secret" secret={secret} mayReveal={mayHandleSecret}>
            <Environment zoneId={zone.id} applicationId={one.id} secret={secret.value} />
          </SecretSection>
        </>
      )}
    </DetailPage>
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
