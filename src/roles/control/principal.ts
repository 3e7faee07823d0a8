/**
 * Who makes a management call (control-api §3, §12.1). One shape for every
 * credential; what differs is how the permission question is answered:
 * admin tokens by the fixed table of §3.3, everyone else by role bindings.
 */
import type { Binding } from './rbac/rules.ts'

type PrincipalKind = 'admin_token' | 'service_account' | 'api_key' | 'control' | 'console'
export type Capability = 'read' | 'write' | 'approve'

export interface Principal {
  readonly kind: PrincipalKind
  readonly id: string
  readonly name: string
  /** Zone the credential is confined to; `null` = deployment-wide. */
  readonly zoneId: string | null
  readonly capability: Capability
  /** Seeded from `CARACAL_ADMIN_TOKEN`: holds everything, and the only one that may use reserved names. */
  readonly bootstrap: boolean
  /** Console token derived from the bootstrap token: it acts for an account or not at all. */
  readonly derived: boolean
  /** Sees traits and the control resource (control-api §3.4). */
  readonly seesEverything: boolean
  /** May write `control:` traits and the control resource; a Control key sees them but never changes them. */
  readonly managesControl: boolean
  /** Role bindings that decide for accounts and API keys; `null` for admin tokens. */
  readonly bindings: readonly Binding[] | null
  /** Service account behind an API key, or the account itself, a console account included. */
  readonly accountId: string | null
  /** Credential's own expiry in Unix milliseconds, `null` without one. */
  readonly expiresAt: number | null
  /** Name written to attribution columns instead of `admin:<id>`. */
  readonly attributedTo?: string
  /** Account of a v1 console that a derived token acts for: it reaches the zones of this account alone (control-api §3.6). */
  readonly actsFor?: string
  /** Identifier of the presented JWT, for logout. */
  readonly jti?: string
}

/** `global` or `zone`, as admin audit records it. */
export function scopeOf(principal: Principal): 'global' | 'zone' {
  return principal.zoneId === null ? 'global' : 'zone'
}

/** Value of `created_by` and `updated_by` (control-api §3.7). */
export function attributionOf(principal: Principal): string {
  if (principal.attributedTo !== undefined) return principal.attributedTo
  return principal.kind === 'admin_token' ? `admin:${principal.id}` : `${principal.kind}:${principal.id}`
}
