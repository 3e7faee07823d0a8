/** One delegation: what it stands on, what stands on it, and taking it back. */
import { useState } from 'preact/hooks'
import { api, inCoordinator } from '../../api.ts'
import { Link } from '../../router.tsx'
import { useMay } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Button, Facts, Id, Json, Time } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { counted } from '../../ui/format.ts'
import { Named, type Names } from '../../ui/names.tsx'
import { Chain } from './chain.tsx'
import { ancestorsOf, type Impact, noImpact } from './delegation-graph.ts'
import { RevokeDelegation } from './revoke-delegation.tsx'
import { type Delegation, tones } from './shapes.ts'

interface DelegationDialogProps {
  readonly delegation: Delegation
  readonly zoneId: string
  readonly names: Names
  readonly onRevoked: () => void
  readonly onClose: () => void
}

export function DelegationDialog({ delegation, zoneId, names, onRevoked, onClose }: DelegationDialogProps) {
  const { id, status } = delegation
  const [asked, setAsked] = useState(false)
  const active = status === 'active'
  const mayRevoke = useMay('write') && active
  const ancestors = useData(`ancestors of ${id}`, (signal) => ancestorsOf(zoneId, delegation, signal))
  const impact = useData(`impact of ${id}`, (signal) =>
    active ? api.get<Impact>(inCoordinator(zoneId, `/delegations/${id}/impact`), signal) : noImpact(),
  )
  const session = (sessionId: string) => (
    <Link to={`/zones/${zoneId}/sessions/${sessionId}`}>
      <Id value={sessionId} />
    </Link>
  )
  return (
    <Dialog title="Delegation" side onClose={onClose}>
      {mayRevoke && (
        <div class="actions">
          <Button kind="danger" onClick={() => setAsked(true)}>
            Revoke
          </Button>
        </div>
      )}
      <Facts
        of={{
          Id: <code>{id}</code>,
          Status: <Badge tone={tones[status] ?? 'idle'}>{status}</Badge>,
          From: session(delegation.source_session_id),
          To: session(delegation.target_session_id),
          'From application': <Named id={delegation.issuer_application_id} names={names} />,
          'To application': <Named id={delegation.receiver_application_id} names={names} />,
          Scopes: delegation.scopes.join(', '),
          Resource: delegation.resource_id === null ? undefined : <Id value={delegation.resource_id} />,
          Made: <Time at={delegation.created_at} />,
          Expires: <Time at={delegation.expires_at} />,
          Revoked: delegation.revoked_at ? <Time at={delegation.revoked_at} /> : undefined,
        }}
      />
      <h3>Constraints</h3>
      <Json value={delegation.constraints_json} />
      <h3>Stands on</h3>
      <Async of={ancestors}>
        {(above) =>
          above.length === 0 ? (
            <p class="faint">Nothing: the first of its chain.</p>
          ) : (
            <Chain steps={above} zoneId={zoneId} />
          )
        }
      </Async>
      <h3>What stands on it</h3>
      <Async of={impact}>
        {({ affected_edges: edges, affected_sessions: sessions }) => {
          const below = edges.filter((edge) => edge.id !== id)
          return (
            <>
              <p class="faint">
                {active
                  ? `Revoking it ends ${counted(edges.length, 'delegation')} and ${counted(sessions.length, 'session')}.`
                  : 'Nothing any more.'}
              </p>
              <Chain steps={below} zoneId={zoneId} />
            </>
          )
        }}
      </Async>
      {asked && (
        <RevokeDelegation
          id={id}
          zoneId={zoneId}
          impact={impact.value}
          onRevoked={() => {
            onRevoked()
            onClose()
          }}
          onClose={() => setAsked(false)}
        />
      )}
    </Dialog>
  )
}
