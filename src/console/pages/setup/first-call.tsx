/** The end of guided setup: the environment and the program of the first governed call. */
import { useState } from 'preact/hooks'
import { inZone } from '../../api.ts'
import { useMay, type Zone } from '../../state/session.tsx'
import { Failure, Notice, Section, Snippet } from '../../ui/basics.tsx'
import { Select } from '../../ui/form.tsx'
import { Environment } from '../definitions/environment.tsx'
import { RevealButton } from '../definitions/secret-section.tsx'
import type { Application, Resource } from '../definitions/shapes.ts'
import { useClientSecret } from '../definitions/use-secret.ts'
import { policyFor, programFor } from './program.ts'

interface FirstCallProps {
  readonly zone: Zone
  readonly applications: readonly Application[]
  readonly resources: readonly Resource[]
}

export function FirstCall({ zone, applications, resources }: FirstCallProps) {
  const [applicationId, setApplicationId] = useState<string>()
  const [resourceId, setResourceId] = useState<string>()
  const application = applications.find(({ id }) => id === applicationId) ?? applications[0]
  const resource = resources.find(({ id }) => id === resourceId) ?? resources.find(isCallable) ?? resources[0]
  if (application === undefined) return null
  return (
    <Section title="Your first call">
      {applications.length > 1 && (
        <Select
          name="application"
          label="Application"
          value={application.id}
          choices={applications.map(({ id, name }) => ({ value: id, label: name }))}
          onInput={setApplicationId}
        />
      )}
      {resources.length > 1 && (
        <Select
          name="resource"
          label="Resource"
          value={resource?.id}
          choices={resources.map(({ id, name, identifier }) => ({
            value: id,
            label: `${name} (${identifier})`,
          }))}
          onInput={setResourceId}
        />
      )}
      <h3>Environment</h3>
      <EnvironmentWithSecret key={application.id} zone={zone} application={application} />
      {resource !== undefined && (
        <>
          <h3>Program</h3>
          {!isCallable(resource) && (
            <Notice tone="warn">No operation of this resource is declared, so its calls are refused.</Notice>
          )}
          <Snippet text={programFor(resource)} />
          <details>
            <summary>A policy that allows it</summary>
            <p>
              It lets this application hold every scope of this resource; all else stays refused. Paste it as
              a new policy, put that into a policy set and activate the set.
            </p>
            <Snippet text={policyFor(application.id, resource)} />
          </details>
        </>
      )}
    </Section>
  )
}

const isCallable = ({ operations, operation_enforcement }: Resource): boolean =>
  operations.length > 0 || operation_enforcement === 'transport_uniform'

interface EnvironmentWithSecretProps {
  readonly zone: Zone
  readonly application: Application
}

function EnvironmentWithSecret({ zone, application }: EnvironmentWithSecretProps) {
  const secret = useClientSecret(inZone(zone.id, `/applications/${application.id}`))
  const mayReveal = useMay('write') && application.registration_method === 'managed'
  return (
    <>
      {secret.error !== undefined && <Failure error={secret.error} />}
      <Environment zoneId={zone.id} applicationId={application.id} secret={secret.value} />
      {mayReveal && (
        <p>
          <RevealButton secret={secret} /> <span class="hint">Revealing it is written to the audit.</span>
        </p>
      )}
    </>
  )
}
