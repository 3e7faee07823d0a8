/** What a command of the Control catalog is made of (control-api §9.7). */
import type { Flags } from './flags.ts'

export interface ManagementInput {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, unknown>>
  readonly body?: unknown
}

export type Action =
  /** One call of a management operation. */
  | { readonly kind: 'call'; readonly operationId: string; readonly input: (flags: Flags) => ManagementInput }
  /** All pages of a list, as one array. */
  | {
      readonly kind: 'drain'
      readonly operationId: string
      readonly input: (flags: Flags) => ManagementInput
    }
  /** One page of a list, as an array. */
  | { readonly kind: 'page'; readonly operationId: string; readonly input: (flags: Flags) => ManagementInput }
  /** A call of the coordinator on the zone. */
  | {
      readonly kind: 'coordinator'
      readonly method: 'GET' | 'PATCH' | 'DELETE'
      readonly path: (flags: Flags) => string
      readonly shape:
        | 'session'
        | 'tree'
        | 'delegation'
        | 'delegations'
        | 'delegation-page'
        | 'revocation'
        | 'none'
    }
  | { readonly kind: 'state'; readonly mode: 'plan' | 'verify' | 'apply' }
  | { readonly kind: 'ensure'; readonly object: string }
  | { readonly kind: 'describe' }

export interface Subcommand {
  /** Scope to hold; `null` when the action checks its own. */
  readonly scope: string | null
  readonly flags: readonly (readonly [name: string, summary: string])[]
  /** Refuse an application that is itself a Control key. */
  readonly sparesControlKeys?: boolean
  readonly action: Action
}

export interface Command {
  readonly summary: string
  readonly delegatesScope: boolean
  readonly subcommands: Readonly<Record<string, Subcommand>>
}

/** Identity field and command of each declarative kind. */
export const declarativeKinds = [
  { kind: 'application', identityField: 'name', command: 'app' },
  { kind: 'identity-provider', identityField: 'identifier', command: 'identity-provider' },
  { kind: 'resource', identityField: 'identifier', command: 'resource' },
  { kind: 'policy', identityField: 'name', command: 'policy' },
  { kind: 'policy-set', identityField: 'name', command: 'policy-set' },
] as const

export type DeclarativeKind = (typeof declarativeKinds)[number]['kind']
