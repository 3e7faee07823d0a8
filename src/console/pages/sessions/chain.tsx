import { Link } from '../../router.tsx'
import { Id } from '../../ui/basics.tsx'
import type { Step } from './delegation-graph.ts'

interface ChainProps {
  readonly steps: readonly (Step & { readonly scopes?: readonly string[] })[]
  readonly zoneId: string
}

/** Delegations one after another, with the sessions between them. */
export function Chain({ steps, zoneId }: ChainProps) {
  const session = (id: string) => (
    <Link to={`/zones/${zoneId}/sessions/${id}`}>
      <Id value={id} />
    </Link>
  )
  return (
    <ul>
      {steps.map(({ id, source_session_id: from, target_session_id: to, depth, scopes }) => (
        <li key={id}>
          {'\u2003'.repeat(Math.max(0, (depth ?? 2) - 2))}
          <Id value={id} />: {session(from)} → {session(to)}
          {scopes !== undefined && <span class="hint"> {scopes.join(', ')}</span>}
        </li>
      ))}
    </ul>
  )
}
