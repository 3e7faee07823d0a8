/** Tries the token endpoint of an OAuth provider and says what came of it. */
import { useState } from 'preact/hooks'
import { api } from '../../api.ts'
import { useMay } from '../../state/session.tsx'
import { Badge, Button, Failure, Section, Time, type Tone } from '../../ui/basics.tsx'
import type { Check, Provider } from '../definitions/shapes.ts'

type Outcome = 'ok' | 'auth_failed' | 'unreachable' | 'endpoint_error' | 'config_error'

const told: Readonly<Record<Outcome, readonly [Tone, string]>> = {
  ok: ['ok', 'works'],
  auth_failed: ['bad', 'the client was refused'],
  unreachable: ['bad', 'unreachable'],
  endpoint_error: ['bad', 'unexpected answer'],
  config_error: ['warn', 'settings refused'],
}

interface ConnectionTestProps {
  readonly path: string
  readonly provider: Provider
  readonly onTested: () => void
}

export function ConnectionTest({ path, provider, onTested }: ConnectionTestProps) {
  const mayWrite = useMay('write')
  const [check, setCheck] = useState<Check<Outcome>>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<Error>()
  const test = async () => {
    setBusy(true)
    setError(undefined)
    try {
      setCheck(await api.post<Check<Outcome>>(`${path}/test`))
      onTested()
    } catch (thrown) {
      setError(thrown as Error)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Section
      title="Connection"
      actions={
        mayWrite && (
          <Button onClick={test} disabled={busy}>
            Test
          </Button>
        )
      }
    >
      {check === undefined ? (
        <LastTest failedAt={provider.connectivity_failed_at} />
      ) : (
        <p>
          <Badge tone={told[check.status][0]}>{told[check.status][1]}</Badge> {check.detail},{' '}
          <Time at={check.checked_at} />.
        </p>
      )}
      {error !== undefined && <Failure error={error} />}
    </Section>
  )
}

function LastTest({ failedAt }: { readonly failedAt: string | null }) {
  if (failedAt === null) return <p>The last test passed. A test asks the token endpoint once.</p>
  return (
    <p>
      <Badge tone="warn">not confirmed</Badge> Not tested, or failed, since <Time at={failedAt} />. A test
      asks the token endpoint once.
    </p>
  )
}
