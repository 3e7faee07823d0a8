/** From whom to whom the authority of a mandate came. */
import { Link } from '../../router.tsx'
import { Id } from '../../ui/basics.tsx'
import { Named, type Names } from '../../ui/names.tsx'

interface Hop {
  readonly application_id?: string
  readonly agent_session_id?: string
  /** The delegation to the next one. */
  readonly delegation_edge_id?: string
}

interface DelegationChainProps {
  /** As the ledger holds it. */
  readonly chain: unknown
  readonly zoneId: string
  readonly names: Names
}

export function DelegationChain({ chain, zoneId, names }: DelegationChainProps) {
  if (!Array.isArray(chain) || chain.length === 0) return null
  return (
    <>
      <h3>Delegation chain</h3>
      <ol>
        {(chain as readonly Hop[]).map((hop) => (
          <li key={hop.agent_session_id}>
            <Named id={hop.application_id} names={names} />, session{' '}
            {hop.agent_session_id === undefined ? (
              '–'
            ) : (
              <Link to={`/zones/${zoneId}/sessions/${hop.agent_session_id}`}>
                <Id value={hop.agent_session_id} />
              </Link>
            )}
            {hop.delegation_edge_id !== undefined && (
              <>
                , delegates by <Id value={hop.delegation_edge_id} />
              </>
            )}
          </li>
        ))}
      </ol>
    </>
  )
}
