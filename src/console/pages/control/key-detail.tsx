/** A key as it stands, how it is used, and what is asked before it is changed. */
import { api } from '../../api.ts'
import { navigate } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { Badge, Facts, Notice, Section, Time } from '../../ui/basics.tsx'
import { Confirm, Dialog } from '../../ui/dialog.tsx'
import { Badges } from '../definitions/names.tsx'
import { RotateSecret, SecretSection } from '../definitions/secret-section.tsx'
import type { Application } from '../definitions/shapes.ts'
import { useSecret } from '../definitions/use-secret.ts'
import type { EndpointState } from './endpoint-state.ts'
import { IssueToken } from './issue-token.tsx'
import { rightsOf, stateOf, traitsFor } from './key.ts'
import { type KeyDraft, KeyForm } from './key-form.tsx'
import { prepareZone } from './prepare-zone.ts'
import { Usage } from './usage.tsx'

export type Asked = 'token' | 'edit' | 'rotate' | 'archive'

interface KeyProps {
  readonly zone: Zone
  /** Where the keys of the zone are listed. */
  readonly list: string
  readonly path: string
  readonly application: Application
  readonly endpoint: EndpointState
  readonly asked: Asked | undefined
  readonly onClose: () => void
  readonly onChanged: () => void
}

export function Key({ zone, list, path, application, endpoint, asked, onClose, onChanged }: KeyProps) {
  const { audience, mayManage } = endpoint
  const rights = rightsOf(application)
  const secret = useSecret(
    async () => (await api.get<{ client_secret: string }>(`${path}/client-secret`)).client_secret,
  )
  const save = async (draft: KeyDraft) => {
    await prepareZone(zone.id, audience)
    await api.patch(path, { name: draft.name, traits: traitsFor(draft, application.traits) })
    onChanged()
    onClose()
  }
  return (
    <>
      <Section>
        <KeyFacts of={application} />
      </Section>
      <SecretSection title="Use" name="Client secret" secret={secret} mayReveal={mayManage}>
        {!endpoint.open && (
          <Notice tone="warn">The endpoint is off: calls are refused until it is turned on.</Notice>
        )}
        <Usage
          applicationId={application.id}
          secret={secret.value}
          scopes={rights.scopes}
          audience={audience}
        />
      </SecretSection>
      {asked === 'token' && (
        <IssueToken zoneId={zone.id} application={application} endpoint={endpoint} onClose={onClose} />
      )}
      {asked === 'edit' && (
        <Dialog title="Edit the key" side onClose={onClose}>
          <KeyForm
            action="Save"
            draft={{ name: application.name, ...rights }}
            onSubmit={save}
            onClose={onClose}
          />
        </Dialog>
      )}
      {asked === 'rotate' && (
        <RotateSecret
          rotate={async () =>
            (await api.post<{ client_secret: string }>(`${path}/rotate-secret`)).client_secret
          }
          secret={secret}
          onRotated={onChanged}
          onClose={onClose}
        >
          The present secret stops working at once. Programs that hold it get no more tokens until they have
          the new one.
        </RotateSecret>
      )}
      {asked === 'archive' && (
        <Confirm
          title="Archive the key"
          action="Archive"
          onClose={onClose}
          onConfirm={async () => {
            await api.remove(path)
            navigate(list)
          }}
        >
          <strong>{application.name}</strong> stops working at once: its secret is deleted and it gets no more
          tokens. This cannot be taken back.
        </Confirm>
      )}
    </>
  )
}

function KeyFacts({ of }: { readonly of: Application }) {
  const rights = rightsOf(of)
  const { tone, text } = stateOf(rights)
  return (
    <>
      <Facts
        of={{
          'Key id': <code>{of.id}</code>,
          State: <Badge tone={tone}>{text}</Badge>,
          'Longest life of a token': rights.maxTtl === null ? 'as the server allows' : `${rights.maxTtl} s`,
          ...(rights.expires === null ? {} : { Expires: <Time at={rights.expires} /> }),
          Created: <Time at={of.created_at} />,
          Changed: <Time at={of.updated_at} />,
        }}
      />
      <h3>Scopes</h3>
      <Badges of={rights.scopes} />
    </>
  )
}
