/** A key as it stands, and how it is used. */
import { Badge, Facts, Notice, Section, Time } from '../../ui/basics.tsx'
import { Badges } from '../definitions/names.tsx'
import { SecretSection } from '../definitions/secret-section.tsx'
import type { Application } from '../definitions/shapes.ts'
import type { HeldSecret } from '../definitions/use-secret.ts'
import type { EndpointState } from './endpoint-state.ts'
import { rightsOf, stateOf } from './key.ts'
import { Usage } from './usage.tsx'

interface KeyProps {
  readonly application: Application
  readonly endpoint: EndpointState
  readonly secret: HeldSecret
}

export function Key({ application, endpoint, secret }: KeyProps) {
  const { open, audience, mayManage } = endpoint
  return (
    <>
      <Section>
        <KeyFacts of={application} />
      </Section>
      <SecretSection title="Use" name="Client secret" secret={secret} mayReveal={mayManage}>
        {!open && <Notice tone="warn">The endpoint is off: calls are refused until it is turned on.</Notice>}
        <Usage
          applicationId={application.id}
          secret={secret.value}
          scopes={rightsOf(application).scopes}
          audience={audience}
        />
      </SecretSection>
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
