/**
 * The narrowing rules between an edge and its parent (coordinator §8.3): a child never holds
 * more than its parent in any dimension. Pure, and the only place that decides it.
 */
import { type Constraints, hopsOf, parseConstraints } from './constraints.ts'

export interface Held {
  readonly scopes: readonly string[]
  /** Row id of the one resource the edge is bound to. */
  readonly resourceId: string | null
  /** Unix milliseconds. */
  readonly expiresAt: number
  readonly constraints: Constraints
}

export interface ParentEdge {
  readonly scopes: readonly string[]
  readonly resourceId: string | null
  readonly expiresAt: number
  /** As stored; what does not parse refuses every child. */
  readonly constraints: unknown
}

export type Excess = 'scopes' | 'expiry' | 'resource' | 'hops' | 'ttl' | 'budget' | 'parent_constraints'

/** The first dimension in which `child` would hold more than `parent`, or null when it only narrows. */
export function excessOver(parent: ParentEdge, child: Held): Excess | null {
  const parsed = parseConstraints(parent.constraints)
  if (!parsed.ok) return 'parent_constraints'
  const limits = parsed.constraints
  if (!child.scopes.every((scope) => parent.scopes.includes(scope))) return 'scopes'
  if (child.expiresAt > parent.expiresAt) return 'expiry'
  if (!withinResources(parent.resourceId, limits, child)) return 'resource'
  if (hopsOf(limits) < 2 || hopsOf(child.constraints) > hopsOf(limits) - 1) return 'hops'
  if (exceeds(child.constraints.ttl_seconds, limits.ttl_seconds)) return 'ttl'
  if (exceeds(child.constraints.budget ?? child.scopes.length, limits.budget)) return 'budget'
  return null
}

function exceeds(value: number | undefined, limit: number | undefined): boolean {
  return limit !== undefined && (value === undefined || value > limit)
}

function withinResources(parentResourceId: string | null, limits: Constraints, child: Held): boolean {
  const named = child.constraints.resources ?? []
  if (parentResourceId !== null) return child.resourceId === parentResourceId && named.length <= 1
  if (limits.resources === undefined || limits.resources.length === 0) return true
  const allowed = limits.resources
  return named.length > 0 && named.every((identifier) => allowed.includes(identifier))
}
