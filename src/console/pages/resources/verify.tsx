/** Whether the definition can work, and whether the upstream checks mandates that it gets itself. */
import { useState } from 'preact/hooks'
import { api } from '../../api.ts'
import { useMay } from '../../state/session.tsx'
import { Badge, Button, Failure, Notice, Section, Time, type Tone } from '../../ui/basics.tsx'
import type { Check, Provider, Resource } from '../definitions/shapes.ts'
import { findingsOf } from './findings.ts'

type Verdict = 'guarded' | 'unverified' | 'unreachable' | 'endpoint_error'

const verdicts: Readonly<Record<Verdict, readonly [Tone, string]>> = {
  guarded: ['ok', 'The upstream refuses mandates that nobody signed.'],
  unverified: [
    'bad',
    'The upstream accepts mandates that nobody signed: whoever reaches it gets in. Verify them there, with caracal/verify for example.',
  ],
  unreachable: [
    'warn',
    'The upstream cannot be reached from this server. A private address needs its host in CARACAL_PRIVATE_EGRESS_HOSTS; the machine of the server itself is never asked.',
  ],
  endpoint_error: ['warn', 'The upstream answered something that proves neither.'],
}

interface VerifyProps {
  readonly path: string
  readonly resource: Resource
  readonly provider: Provider | undefined
}

export function Verify({ path, resource, provider }: VerifyProps) {
  const mayWrite = useMay('write')
  const [check, setCheck] = useState<Check<Verdict>>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<Error>()
  const probe = async () => {
    setBusy(true)
    setError(undefined)
    try {
      setCheck(await api.post<Check<Verdict>>(`${path}/test`))
    } catch (thrown) {
      setError(thrown as Error)
    } finally {
      setBusy(false)
    }
  }
  const findings = findingsOf(resource, provider)
  const getsMandates = provider?.kind === 'caracal_mandate'
  return (
    <Section
      title="Verification"
      actions={
        getsMandates &&
        mayWrite && (
          <Button onClick={probe} disabled={busy}>
            Verify the upstream
          </Button>
        )
      }
    >
      {findings.map(({ tone, text }) => (
        <Notice key={text} tone={tone}>
          {text}
        </Notice>
      ))}
      {findings.length === 0 && <p>Nothing stands in the way of calls.</p>}
      {check !== undefined && (
        <Notice tone={verdicts[check.status][0]}>
          <p>
            <Badge tone={verdicts[check.status][0]}>{check.status.replace('_', ' ')}</Badge>{' '}
            {verdicts[check.status][1]}
          </p>
          <p class="faint">
            {check.detail}, <Time at={check.checked_at} />
          </p>
        </Notice>
      )}
      {error !== undefined && <Failure error={error} />}
      <p class="hint">
        {getsMandates
          ? 'The upstream gets mandates and has to check them itself. Verifying sends it one that nobody signed.'
          : 'The gateway checks every call before it adds the credential. Only upstreams that get the mandate itself are asked.'}
      </p>
    </Section>
  )
}
