/**
 * The typed constraints of a delegation (coordinator §8.2). Strict: an unknown key is an
 * error, because a constraint that is not understood would be authority that is not limited.
 */

export interface Constraints {
  readonly resources?: readonly string[]
  /** Re-delegations allowed at or below this edge; absent counts as 1 (the holder cannot re-delegate). */
  readonly max_hops?: number
  readonly budget?: number
  readonly ttl_seconds?: number
  readonly expires_at?: string
  readonly policy_approved?: boolean
  readonly broad_reason?: string
}

export type ParsedConstraints =
  | { readonly ok: true; readonly constraints: Constraints }
  /** `code` is the wire error, `key` the member that caused it. */
  | { readonly ok: false; readonly code: ConstraintError; readonly key: string; readonly message: string }

const isoUtc = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z$/

type Check = (value: unknown) => boolean

const integerIn =
  (least: number, most: number): Check =>
  (value) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most

/** A real instant in UTC: a 30th of February is none, although `Date` would take it. */
export const isUtcInstant: Check = (value) => {
  if (typeof value !== 'string' || !isoUtc.test(value)) return false
  const time = new Date(value)
  const written = value.slice(0, value.indexOf(':') + 3)
  return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(written)
}

const checks = {
  resources: (value) =>
    Array.isArray(value) &&
    value.length <= 64 &&
    value.every((item) => typeof item === 'string' && item.trim() !== ''),
  max_depth: integerIn(1, 10),
  max_hops: integerIn(1, 10),
  budget: integerIn(1, 64),
  ttl_seconds: integerIn(1, 86_400),
  expires_at: isUtcInstant,
  policy_approved: (value) => typeof value === 'boolean',
  broad_reason: (value) => typeof value === 'string' && value.length >= 1 && value.length <= 256,
} satisfies Readonly<Record<string, Check>>

type ConstraintKey = keyof typeof checks
type ConstraintError = 'invalid_delegation_constraint' | `invalid_${ConstraintKey}`

const isConstraintKey = (key: string): key is ConstraintKey => Object.hasOwn(checks, key)

/** Reads constraints as they arrive or as they are stored; `max_depth` becomes `max_hops`. */
export function parseConstraints(value: unknown): ParsedConstraints {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refused('invalid_delegation_constraint', '', 'must be an object')
  }
  const given = value as Record<string, unknown>
  for (const [key, item] of Object.entries(given)) {
    if (!isConstraintKey(key)) return refused('invalid_delegation_constraint', key, 'is not a known member')
    if (!checks[key](item)) return refused(`invalid_${key}`, key, 'is not valid')
  }
  const { max_depth: depth, ...rest } = given
  if (depth !== undefined && rest.max_hops !== undefined && depth !== rest.max_hops) {
    return refused('invalid_max_hops', 'max_hops', 'must equal max_depth')
  }
  const hops = rest.max_hops ?? depth
  const constraints = hops === undefined ? rest : { ...rest, max_hops: hops }
  return { ok: true, constraints: constraints as Constraints }
}

const refused = (code: ConstraintError, key: string, message: string): ParsedConstraints => ({
  ok: false,
  code,
  key,
  message,
})

/** Hops as evaluated: absent is 1. */
export const hopsOf = (constraints: Constraints): number => constraints.max_hops ?? 1
