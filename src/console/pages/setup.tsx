import type { ComponentChildren } from 'preact'
import { navigate } from '../router.tsx'
import { Async, Button, Notice, Page, Section, Time } from '../ui/basics.tsx'
import type { ZonePageProps } from './index.tsx'
import { FirstCall } from './setup/first-call.tsx'
import { type SetupState, useSetupState } from './setup/state.ts'

export function Setup({ zone }: ZonePageProps) {
  const state = useSetupState(zone.id)
  return (
    <Page
      title="Guided setup"
      lead="From nothing to a first governed call. Steps tick themselves as the zone fills."
    >
      <Async of={state}>
        {(known) => (
          <>
            <Section>
              <Steps of={known} base={`/zones/${zone.id}`} />
            </Section>
            <FirstCall zone={zone} applications={known.applications} resources={known.resources} />
          </>
        )}
      </Async>
    </Page>
  )
}

interface Step {
  readonly title: string
  readonly done: boolean
  readonly about: ComponentChildren
  /** The page where it is done, and what the button there says. */
  readonly go?: readonly [string, string]
}

function stepsOf({ applications, providers, resources, policySets, allowedAt }: SetupState): readonly Step[] {
  const enforcing = policySets.some(({ active_version_id }) => active_version_id !== null)
  return [
    {
      title: 'Orientation',
      done: true,
      about:
        'An application proves itself and asks for a mandate: short-lived, scoped, signed. Policy decides. The gateway checks the mandate on every call, adds the real credential and writes down what happened. What nobody allowed is refused.',
    },
    {
      title: 'Application',
      done: applications.length > 0,
      about: 'The program whose agents act. Its secret is shown when it is made.',
      go: ['applications', 'Applications'],
    },
    {
      title: 'Provider',
      done: providers.length > 0,
      about: 'The credential that the API behind wants; agents never see it.',
      go: ['providers', 'Providers'],
    },
    {
      title: 'Resource',
      done: resources.length > 0,
      about: 'The API itself: its address, its scopes, and the calls each scope allows.',
      go: ['resources', 'Resources'],
    },
    {
      title: 'Policy',
      done: enforcing,
      about:
        policySets.length > 0 && !enforcing
          ? 'There is a policy set, but none is active: until then all is refused.'
          : 'Who may hold which scopes. A policy counts once a policy set with it is active.',
      go: ['policies', 'Policies'],
    },
    {
      title: 'Verify',
      done: allowedAt !== null,
      about:
        allowedAt === null ? (
          'Run the program below. This step ticks when the gateway lets a call through.'
        ) : (
          <>
            The gateway let a call through <Time at={allowedAt} />; the audit shows who called, and why it was
            allowed.
          </>
        ),
      go: ['audit', 'Audit'],
    },
  ]
}

function Steps({ of, base }: { readonly of: SetupState; readonly base: string }) {
  const steps = stepsOf(of)
  const next = steps.find(({ done }) => !done)
  return (
    <>
      {next === undefined && <Notice tone="ok">All done: this zone governs real calls.</Notice>}
      <ol class="steps">
        {steps.map(({ title, done, about, go }, index) => (
          <li key={title} class={done ? 'done' : ''}>
            <span class="mark" aria-hidden="true">
              {done ? '✓' : index + 1}
            </span>
            <div>
              <strong>{title}</strong>
              <span class="hint"> {done ? 'done' : title === next?.title ? 'next' : ''}</span>
              <p>{about}</p>
              {go !== undefined && (
                <Button
                  kind={title === next?.title ? 'primary' : 'plain'}
                  onClick={() => navigate(`${base}/${go[0]}`)}
                >
                  {go[1]}
                </Button>
              )}
            </div>
          </li>
        ))}
      </ol>
    </>
  )
}
