/**
 * Every environment variable of the server, once: name, kind, default, bounds,
 * who reads it and one line of what it does. `Settings` is inferred from this
 * table and the reference in the documentation is generated from it
 * (storage-and-operations §10).
 */

import { auditVariables } from './env/audit.ts'
import { controlVariables } from './env/control.ts'
import { coordinatorVariables } from './env/coordinator.ts'
import { gatewayVariables } from './env/gateway.ts'
import { processVariables } from './env/process.ts'
import { sharedVariables } from './env/shared.ts'
import { stsVariables } from './env/sts.ts'
import type { Variable } from './kinds.ts'

/** In the order of the reference. */
export const variables = {
  ...processVariables,
  ...sharedVariables,
  ...coordinatorVariables,
  ...controlVariables,
  ...stsVariables,
  ...gatewayVariables,
  ...auditVariables,
} satisfies Readonly<Record<string, Variable<unknown>>>

type VariableName = keyof typeof variables

/** Every variable with its effective value: flat, durations in milliseconds, unset optional ones `null`. */
export type Settings = {
  readonly [Name in VariableName]: (typeof variables)[Name] extends Variable<infer Value> ? Value : never
}

/** One row of the generated reference. */
export interface DocumentedVariable {
  readonly name: string
  readonly kind: string
  readonly default: string
  readonly secret: boolean
  readonly roles: readonly string[]
  readonly aliases: readonly string[]
  readonly doc: string
}

/** The table as documentation: in declaration order. */
export function documentVariables(): DocumentedVariable[] {
  return Object.entries(variables as Readonly<Record<string, Variable<unknown>>>).map(([name, variable]) => ({
    name,
    kind: variable.kind,
    default: variable.shown,
    secret: variable.secret,
    roles: variable.roles ?? ['all'],
    aliases: variable.aliases,
    doc: variable.doc,
  }))
}
