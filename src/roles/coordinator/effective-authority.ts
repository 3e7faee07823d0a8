/** What the live edges of a session add up to (coordinator §4.9). Pure. */
import { hopsOf, parseConstraints } from './constraints.ts'

export interface InboundAuthority {
  readonly id: string
  readonly scopes: readonly string[]
  readonly resourceId: string | null
  /** Of the resource the edge is bound to. */
  readonly resourceIdentifier: string | null
  readonly constraints: unknown
  readonly expiresAt: Date
}

/** Edges whose stored constraints do not parse are listed and count for nothing else. */
export function effectiveAuthority(
  sessionId: string,
  edges: readonly InboundAuthority[],
): Record<string, unknown> {
  const held = edges.flatMap((edge) => {
    const parsed = parseConstraints(edge.constraints)
    return parsed.ok ? [{ ...edge, constraints: parsed.constraints }] : []
  })
  const [first, ...others] = held
  const scopes = first?.scopes.filter((scope) => others.every((edge) => edge.scopes.includes(scope))) ?? []
  const ids = held.flatMap((edge) => edge.resourceId ?? [])
  const named = held.flatMap((edge) => [
    ...(edge.resourceIdentifier === null ? [] : [edge.resourceIdentifier]),
    ...(edge.constraints.resources ?? []),
  ])
  const ttls = held.flatMap((edge) => edge.constraints.ttl_seconds ?? [])
  const expiries = held.map((edge) => edge.expiresAt.getTime())
  return {
    agent_session_id: sessionId,
    inbound_edges: edges.map((edge) => edge.id),
    effective_scopes: sorted(scopes),
    effective_resource_ids: sorted(ids),
    effective_resources: sorted(named),
    effective_resource_constrained: ids.length > 0,
    effective_max_hops: held.length === 0 ? 0 : Math.min(...held.map((edge) => hopsOf(edge.constraints))),
    effective_ttl_seconds: ttls.length === 0 ? null : Math.min(...ttls),
    earliest_expires_at: expiries.length === 0 ? null : new Date(Math.min(...expiries)).toISOString(),
  }
}

const sorted = (values: readonly string[]): string[] => [...new Set(values)].sort()
