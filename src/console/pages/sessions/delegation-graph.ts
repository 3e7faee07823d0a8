/** What a delegation stands on and what stands on it. */
import { api, inCoordinator } from '../../api.ts'
import type { Delegation } from './shapes.ts'

export interface Step {
  readonly id: string
  readonly source_session_id: string
  readonly target_session_id: string
  /** 1 is nearest. */
  readonly depth?: number
}

export interface Impact {
  /** With the delegation itself. */
  readonly affected_edges: readonly Step[]
  readonly affected_sessions: readonly string[]
}

const longestChain = 10

/** Nearest to the root first. The server names only the parent, which leads to the session that delegated. */
export async function ancestorsOf(
  zoneId: string,
  delegation: Delegation,
  signal: AbortSignal,
): Promise<readonly Delegation[]> {
  const found: Delegation[] = []
  let current = delegation
  while (current.parent_edge_id !== null && found.length < longestChain) {
    const { parent_edge_id: wanted, source_session_id: holder } = current
    const inbound = await api.list<Delegation>(
      inCoordinator(zoneId, `/delegations/inbound/${encodeURIComponent(holder)}`),
      signal,
    )
    const parent = inbound.find(({ id }) => id === wanted)
    if (parent === undefined) break
    found.unshift(parent)
    current = parent
  }
  return found
}

export const noImpact = async (): Promise<Impact> => ({ affected_edges: [], affected_sessions: [] })
