/** Fills in the endpoints that an issuer publishes. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import type { Zone } from '../../state/session.tsx'
import { Button, Failure } from '../../ui/basics.tsx'
import { TextField } from '../../ui/form.tsx'
import type { ProviderKind } from '../definitions/shapes.ts'

interface Discovered {
  readonly token_endpoint: string
  readonly authorization_endpoint?: string
  readonly revocation_endpoint?: string
}

interface DiscoveryProps {
  readonly zone: Zone
  readonly kind: ProviderKind
  readonly onFound: (settings: Readonly<Record<string, unknown>>) => void
}

export function Discovery({ zone, kind, onFound }: DiscoveryProps) {
  const [issuer, setIssuer] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<Error>()
  const look = async () => {
    setBusy(true)
    setError(undefined)
    try {
      const found = await api.post<Discovered>(inZone(zone.id, '/providers/discovery'), { issuer })
      const { token_endpoint, authorization_endpoint, revocation_endpoint } = found
      onFound({
        token_endpoint,
        ...(kind === 'oauth2_authorization_code' ? { authorization_endpoint, revocation_endpoint } : {}),
      })
    } catch (thrown) {
      setError(thrown as Error)
    } finally {
      setBusy(false)
    }
  }
  return (
    <>
      <TextField
        name="issuer"
        label="Issuer"
        type="url"
        placeholder="https://login.example.com"
        hint="If the provider publishes its endpoints, they can be filled in from here."
        onInput={setIssuer}
      />
      <Button onClick={look} disabled={busy || issuer.trim() === ''}>
        Fill in the endpoints
      </Button>
      {error !== undefined && <Failure error={error} />}
    </>
  )
}
