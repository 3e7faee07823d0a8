/** Trying a request against a version of a policy set; nothing is stored, minted or enforced. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import type { Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Empty, Section } from '../../ui/basics.tsx'
import { Check, Form, Select, TextField, type Values } from '../../ui/form.tsx'
import { words } from '../../ui/format.ts'
import { Decision, type Simulation } from './decision.tsx'
import { type Attempt, decisionInput } from './dry-run-input.ts'
import type { PolicySetVersion } from './shapes.ts'

interface Application {
  readonly id: string
  readonly name: string
}

interface Resource {
  readonly id: string
  readonly name: string
  readonly identifier: string
  readonly scopes: readonly string[]
}

const attempts: readonly { readonly value: Attempt; readonly label: string }[] = [
  { value: 'mint', label: 'A session asks for a mandate' },
  { value: 'use', label: 'A mandate is used at the gateway' },
  { value: 'start', label: 'The application starts a session' },
]

interface DryRunProps {
  readonly zone: Zone
  readonly setId: string
  readonly version: PolicySetVersion
}

export function DryRun({ zone, setId, version }: DryRunProps) {
  const known = useData(zone.id, async (signal) => {
    const [applications, resources] = await Promise.all([
      api.list<Application>(inZone(zone.id, '/applications'), signal),
      api.list<Resource>(inZone(zone.id, '/resources'), signal),
    ])
    return { applications, resources }
  })
  const [answer, setAnswer] = useState<{ readonly versionId: string; readonly simulation: Simulation }>()
  const run = async (input: ReturnType<typeof decisionInput>) => {
    const simulation = await api.post<Simulation>(inZone(zone.id, `/policy-sets/${setId}/simulate`), {
      version_id: version.id,
      input,
    })
    setAnswer({ versionId: version.id, simulation })
  }
  return (
    <Section title={`Dry run of version ${version.version}`}>
      <p class="hint">What would this version decide? Nothing is stored, minted or enforced.</p>
      <Async of={known}>
        {({ applications, resources }) =>
          applications.length === 0 || resources.length === 0 ? (
            <Empty>It needs an application and a resource in this zone to ask about.</Empty>
          ) : (
            <Question zone={zone} applications={applications} resources={resources} onAsk={run} />
          )
        }
      </Async>
      {answer?.versionId === version.id && <Decision of={answer.simulation} />}
    </Section>
  )
}

interface QuestionProps {
  readonly zone: Zone
  readonly applications: readonly Application[]
  readonly resources: readonly Resource[]
  readonly onAsk: (input: ReturnType<typeof decisionInput>) => Promise<void>
}

function Question({ zone, applications, resources, onAsk }: QuestionProps) {
  const [attempt, setAttempt] = useState<Attempt>('mint')
  const [resourceId, setResourceId] = useState(resources[0]?.id)
  const resource = resources.find(({ id }) => id === resourceId) ?? resources[0]
  if (resource === undefined) return null
  const ask = async (values: Values) => {
    const applicationId = values.text('application')
    const labels = words(values.text('labels'))
    const scopes = values.all('scope')
    if (attempt !== 'start' && scopes.length === 0) throw new Error('Choose at least one scope.')
    await onAsk(
      decisionInput({
        attempt,
        zoneId: zone.id,
        applicationId,
        labels: labels.length === 0 ? [applicationId] : labels,
        resource: { id: resource.id, identifier: resource.identifier, scopes: resource.scopes },
        scopes,
      }),
    )
  }
  return (
    <Form action="Try it" onSubmit={ask}>
      <Select
        name="attempt"
        label="What happens"
        value={attempt}
        choices={attempts}
        onInput={(value) => setAttempt(attempts.find((one) => one.value === value)?.value ?? 'mint')}
      />
      <Select
        name="application"
        label="Application"
        choices={applications.map(({ id, name }) => ({ value: id, label: `${name} (${id})` }))}
      />
      <Select
        name="resource"
        label="Resource"
        value={resource.id}
        onInput={setResourceId}
        choices={resources.map(({ id, name, identifier }) => ({
          value: id,
          label: `${name} (${identifier})`,
        }))}
      />
      {attempt !== 'start' && (
        <>
          <fieldset class="scopes">
            <legend>Scopes</legend>
            {resource.scopes.map((scope, index) => (
              <Check
                key={`${resource.id} ${scope}`}
                name="scope"
                value={scope}
                label={<code>{scope}</code>}
                checked={index === 0}
              />
            ))}
          </fieldset>
          <TextField
            name="labels"
            label="Labels of the session"
            placeholder="the id of the application"
            hint="A grant gives scopes to labels. The SDKs label a session with the id of its application."
          />
        </>
      )}
    </Form>
  )
}
