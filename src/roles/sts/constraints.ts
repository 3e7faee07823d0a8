/**
 * The constraint object of a delegation edge, read strictly (sts §5.3.1): a key or
 * a value this version does not know might narrow authority, so it denies.
 */
import { isJsonObject } from '../../platform/json.ts'

export interface Constraints {
  /** Resource identifiers; empty = no limit. */
  readonly resources: readonly string[]
  /** Seconds; `null` = no limit. */
  readonly ttlSeconds: number | null
  /** Re-delegations allowed below the edge, counted as hops; absent or 0 is 1. */
  readonly maxHops: number
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | null
}

const knownKeys = new Set([
  'resources',
  'ttl_seconds',
  'max_depth',
  'max_hops',
  'budget',
  'policy_approved',
  'expires_at',
  'broad_reason',
])

export const maxLineageEdges = 10

/** The parsed constraints, or a private sentence saying what is wrong with them. */
export function parseConstraints(value: unknown): Constraints | { readonly invalid: string } {
  if (!isJsonObject(value)) return { invalid: 'constraints are not an object' }
  for (const key of Object.keys(value)) {
    if (!knownKeys.has(key)) return { invalid: `unknown constraint ${key}` }
  }
  const resources = value.resources ?? []
  if (!Array.isArray(resources) || !resources.every((entry) => typeof entry === 'string')) {
    return { invalid: 'resources is not a list of strings' }
  }
  for (const key of ['ttl_seconds', 'max_depth', 'max_hops'] as const) {
    if (!isCount(value[key])) return { invalid: `${key} is not a non-negative integer` }
  }
  const budget = value.budget ?? 1
  if (!Number.isInteger(budget) || (budget as number) < 1 || (budget as number) > 64) {
    return { invalid: 'budget is not an integer from 1 to 64' }
  }
  if (!isOptional(value.policy_approved, 'boolean')) return { invalid: 'policy_approved is not a boolean' }
  if (!isOptional(value.broad_reason, 'string')) return { invalid: 'broad_reason is not a string' }
  const hops = (value.max_hops as number | null | undefined) ?? 0
  const depth = (value.max_depth as number | null | undefined) ?? 0
  if (hops > 0 && depth > 0 && hops !== depth) return { invalid: 'max_hops and max_depth differ' }
  const maxHops = Math.max(hops, depth, 1)
  if (maxHops > maxLineageEdges) return { invalid: `max_hops exceeds ${maxLineageEdges}` }
  const expiresAt = parseInstant(value.expires_at)
  if (expiresAt === undefined) return { invalid: 'expires_at is not an RFC 3339 time' }
  const ttl = (value.ttl_seconds as number | null | undefined) ?? 0
  return { resources, ttlSeconds: ttl > 0 ? ttl : null, maxHops, expiresAt }
}

function isCount(value: unknown): boolean {
  return value === undefined || value === null || (Number.isSafeInteger(value) && (value as number) >= 0)
}

function isOptional(value: unknown, type: 'boolean' | 'string'): boolean {
  return value === undefined || value === null || typeof value === type
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/

/** Milliseconds, `null` when absent or empty, `undefined` when it cannot be read. */
export function parseInstant(value: unknown): number | null | undefined {
  if (value === undefined || value === null || value === '') return null
  if (typeof value !== 'string' || !rfc3339.test(value)) return undefined
  const instant = Date.parse(value.toUpperCase())
  return Number.isNaN(instant) ? undefined : instant
}
