/**
 * Reads a delegation lineage from a snapshot and decides whether it carries
 * authority now (sts §5.3 step 4, coordinator §8.3). Pure: one edge list, one
 * session list, one clock.
 */
import { isDeepStrictEqual } from 'node:util'
import { sessionProblem } from './alive.ts'
import { type Constraints, maxLineageEdges, parseConstraints } from './constraints.ts'
import type { ChainHop, Delegation } from './exchange-state.ts'
import type { EdgeState, SessionState, Snapshot } from './store/snapshot.ts'

export interface LineageQuestion {
  readonly snapshot: Snapshot
  readonly edgeId: string
  /** Target session the caller names. */
  readonly agentSessionId: string
  /** The calling application. */
  readonly applicationId: string
}

/** The delegation, or a private sentence saying where it breaks. */
export function readDelegation(question: LineageQuestion): Delegation | { readonly broken: string } {
  const { snapshot, edgeId, agentSessionId } = question
  const sessions = new Map(snapshot.sessions.map((session) => [session.id, session]))
  const leafFirst = snapshot.lineage
  const leaf = leafFirst[0]
  if (leaf === undefined || leaf.id !== edgeId) return { broken: 'delegation does not exist in this zone' }
  if (leaf.target_session_id !== agentSessionId) return { broken: 'delegation targets another session' }

  const shape = shapeProblem(leafFirst)
  if (shape !== null) return { broken: shape }
  const lineage = leafFirst.toReversed()
  for (const edge of lineage) {
    const problem = edgeProblem(edge, snapshot.now)
    if (problem !== null) return { broken: problem }
  }
  const endpoints = endpointProblem(lineage, sessions, snapshot.now)
  if (endpoints !== null) return { broken: endpoints }
  if (leaf.receiver_application_id !== question.applicationId) {
    return { broken: 'delegation belongs to another application' }
  }

  const constraints = parseConstraints(leaf.constraints_json)
  if ('invalid' in constraints) return { broken: constraints.invalid }
  const hops = hopProblem(lineage)
  if (hops !== null) return { broken: hops }

  return {
    leaf,
    constraints,
    lineage,
    sessionIds: [...new Set(lineage.flatMap((edge) => [edge.source_session_id, edge.target_session_id]))],
    chain: chainOf(lineage),
    epoch: snapshot.epoch,
  }
}

/** At most ten edges, no edge twice, and the last one is a root. */
function shapeProblem(leafFirst: readonly EdgeState[]): string | null {
  if (leafFirst.length > maxLineageEdges) return 'lineage is longer than 10 edges or circular'
  const seen = new Set<string>()
  for (const [index, edge] of leafFirst.entries()) {
    if (seen.has(edge.id)) return 'lineage is circular'
    seen.add(edge.id)
    const next = leafFirst[index + 1]
    if (next === undefined ? edge.parent_edge_id !== null : edge.parent_edge_id !== next.id) {
      return 'lineage does not reach a root'
    }
  }
  return null
}

function edgeProblem(edge: EdgeState, now: number): string | null {
  if (edge.status !== 'active' || edge.revoked) return `delegation ${edge.id} is not active`
  if (edge.expires_at <= now) return `delegation ${edge.id} has expired`
  return null
}

/** Every session on the lineage lives, belongs to the application its edge names, and hands on to the next. */
function endpointProblem(
  lineage: readonly EdgeState[],
  sessions: ReadonlyMap<string, SessionState>,
  now: number,
): string | null {
  let previous: EdgeState | undefined
  for (const edge of lineage) {
    const source = sessions.get(edge.source_session_id)
    const target = sessions.get(edge.target_session_id)
    if (source === undefined || target === undefined) return `delegation ${edge.id} has lost a session`
    const problem = sessionProblem(source, now) ?? sessionProblem(target, now)
    if (problem !== null) return `${problem} (delegation ${edge.id})`
    if (source.application_id !== edge.issuer_application_id) return `issuer of ${edge.id} is not its source`
    if (target.application_id !== edge.receiver_application_id)
      return `receiver of ${edge.id} is not its target`
    if (previous !== undefined) {
      if (previous.receiver_application_id !== edge.issuer_application_id) {
        return `issuer of ${edge.id} did not receive its parent`
      }
      if (previous.target_session_id !== edge.source_session_id) {
        return `source of ${edge.id} did not receive its parent`
      }
    }
    previous = edge
  }
  return null
}

/**
 * For each edge the number of re-delegations below it is smaller than its `max_hops`.
 * An edge that mirrors its parent (`inherit`) is not a re-delegation.
 */
function hopProblem(lineage: readonly EdgeState[]): string | null {
  let below = 0
  for (let index = lineage.length - 1; index >= 0; index--) {
    const edge = lineage[index] as EdgeState
    const constraints = parseConstraints(edge.constraints_json)
    if ('invalid' in constraints) return `${constraints.invalid} (delegation ${edge.id})`
    if (below >= constraints.maxHops) return `delegation ${edge.id} allows no further hop`
    const parent = lineage[index - 1]
    if (parent !== undefined && !mirrors(edge, constraints, parent)) below += 1
  }
  return null
}

function mirrors(edge: EdgeState, constraints: Constraints, parent: EdgeState): boolean {
  const theirs = parseConstraints(parent.constraints_json)
  if ('invalid' in theirs || theirs.maxHops !== constraints.maxHops) return false
  return (
    edge.resource_id === parent.resource_id &&
    isDeepStrictEqual([...edge.scopes].sort(), [...parent.scopes].sort()) &&
    isDeepStrictEqual(edge.constraints_json, parent.constraints_json)
  )
}

function chainOf(lineage: readonly EdgeState[]): ChainHop[] {
  const chain: ChainHop[] = lineage.map((edge) => ({
    application_id: edge.issuer_application_id,
    agent_session_id: edge.source_session_id,
    delegation_edge_id: edge.id,
  }))
  const leaf = lineage.at(-1) as EdgeState
  chain.push({
    application_id: leaf.receiver_application_id,
    agent_session_id: leaf.target_session_id,
  })
  return chain
}
