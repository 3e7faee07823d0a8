/** How far an activation has come: dispatched, loaded by the STS, enforcing. Asks each second until it is settled. */
import { useEffect, useState } from 'preact/hooks'
import { api, withQuery } from '../../api.ts'
import { useData } from '../../state/use-data.ts'
import { Async, Notice, Section } from '../../ui/basics.tsx'
import { moment } from '../../ui/format.ts'
import type { PolicySetVersion } from './shapes.ts'

interface ActivationStatus {
  readonly propagation_status:
    | 'waiting_for_activation'
    | 'waiting_for_outbox'
    | 'waiting_for_sts'
    | 'loaded'
    | 'failed'
  readonly outbox: {
    readonly state: 'dispatched' | 'pending' | 'dead' | 'missing' | 'mismatch'
    readonly attempts: number
    readonly last_error: string | null
  }
  readonly sts: {
    readonly state: 'loaded' | 'not_loaded' | 'not_configured' | 'unreachable' | 'failed'
    readonly loaded_at?: string
    readonly detail?: string
  }
}

interface PropagationProps {
  /** Path of the policy set. */
  readonly path: string
  readonly version: PolicySetVersion
  /** Event of the activation that was just made; without it the server looks for the newest. */
  readonly outboxId: string | undefined
}

const everySecond = { refreshMs: 1000 }

export function Propagation({ path, version, outboxId }: PropagationProps) {
  const [settled, setSettled] = useState(false)
  const status = useData(
    version.id,
    (signal) =>
      api.get<ActivationStatus>(
        withQuery(`${path}/activation-status`, { version_id: version.id, outbox_id: outboxId }),
        signal,
      ),
    settled ? {} : everySecond,
  )
  const now = status.value?.propagation_status
  useEffect(() => {
    if (now === 'loaded' || now === 'failed') setSettled(true)
  }, [now])
  const justNow = outboxId !== undefined
  if (now === 'loaded' && !justNow)
    return (
      <Notice tone="ok">
        Version {version.version} is enforced: every decision in this zone is made with it.
      </Notice>
    )
  return (
    <Section title={`Propagation of version ${version.version}`}>
      <Async of={status}>{(known) => <Steps of={known} />}</Async>
    </Section>
  )
}

function Steps({ of: { propagation_status, outbox, sts } }: { readonly of: ActivationStatus }) {
  const dispatched = outbox.state === 'dispatched'
  const loaded = dispatched && sts.state === 'loaded'
  const enforcing = propagation_status === 'loaded'
  return (
    <div role="status">
      <ol class="steps">
        <Step number={1} done={dispatched} title="Dispatched">
          {dispatched ? 'The activation is published to every process.' : 'Waiting to be published.'}
        </Step>
        <Step number={2} done={loaded} title="Loaded">
          {loaded
            ? `The STS holds this version${sts.loaded_at === undefined ? '' : ` since ${moment(sts.loaded_at)}`}.`
            : (sts.detail ?? 'Waiting for the STS to load it.')}
        </Step>
        <Step number={3} done={enforcing} title="Enforcing">
          {enforcing ? 'Every decision is made with this version.' : 'Not yet.'}
        </Step>
      </ol>
      {propagation_status === 'failed' && (
        <Notice tone="bad">
          The activation did not get through
          {outbox.last_error === null ? '.' : ` after ${outbox.attempts} attempts: ${outbox.last_error}.`}{' '}
          Activate the version again; if that fails too, look at the diagnostics.
        </Notice>
      )}
    </div>
  )
}

interface StepProps {
  readonly number: number
  readonly done: boolean
  readonly title: string
  readonly children: string
}

function Step({ number, done, title, children }: StepProps) {
  return (
    <li class={done ? 'done' : ''}>
      <span class="mark" aria-hidden="true">
        {done ? '✓' : number}
      </span>
      <div>
        <strong>{title}</strong>
        <div class="hint">{children}</div>
      </div>
    </li>
  )
}
