/** How much of its parent's authority a new session gets (sdk-cli-console §4.2). */

export interface DelegationConstraints {
  readonly resources?: readonly string[] | undefined
  readonly maxDepth?: number | undefined
  readonly maxHops?: number | undefined
  readonly ttlSeconds?: number | undefined
  readonly policyApproved?: boolean | undefined
  readonly expiresAt?: string | undefined
  readonly broadReason?: string | undefined
  readonly budget?: unknown
}

export interface NarrowOptions {
  readonly resourceId?: string | undefined
  readonly constraints?: DelegationConstraints | undefined
  readonly ttlSeconds: number
}

export type Authority =
  | { readonly mode: 'inherit' }
  | { readonly mode: 'none' }
  | ({ readonly mode: 'narrow'; readonly scopes: readonly string[] } & NarrowOptions)

export const Authority = {
  /** All that the parent may. The default. */
  inherit: (): Authority => ({ mode: 'inherit' }),
  /** Nothing: only what is delegated to the session later. */
  none: (): Authority => ({ mode: 'none' }),
  /** Some scopes, for some time. Throws `TypeError` without a positive integer `ttlSeconds`. */
  narrow(scopes: string | readonly string[], options: NarrowOptions): Authority {
    assertPositiveInteger(options?.ttlSeconds, 'ttlSeconds')
    return { mode: 'narrow', scopes: typeof scopes === 'string' ? [scopes] : [...scopes], ...options }
  },
} as const

const wireNames = {
  resources: 'resources',
  maxDepth: 'max_depth',
  maxHops: 'max_hops',
  ttlSeconds: 'ttl_seconds',
  policyApproved: 'policy_approved',
  expiresAt: 'expires_at',
  broadReason: 'broad_reason',
  budget: 'budget',
} as const satisfies Record<keyof DelegationConstraints, string>

export function wireConstraints(constraints: DelegationConstraints): Record<string, unknown> {
  const wire: Record<string, unknown> = {}
  for (const [name, wireName] of Object.entries(wireNames)) {
    const value = constraints[name as keyof DelegationConstraints]
    if (value !== undefined) wire[wireName] = value
  }
  return wire
}

export function assertPositiveInteger(value: unknown, name: string): asserts value is number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value <= 0)
    throw new TypeError(`${name} must be a positive integer`)
}
