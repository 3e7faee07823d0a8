/** Turns a partial input, as a person writes it to try a policy, into a whole one (sts §6.8). */
import { POLICY_SCHEMA_VERSION } from './contract.ts'
import type { DecisionInput } from './decision-input.ts'
import { isRecord } from './tables.ts'

/**
 * Fills in `schema_version` when it is missing and treats missing members as
 * empty. What is present stays as it is, so an unsupported version or a
 * malformed member still ends in a denial or an evaluation error.
 */
export function completeInput(partial: Readonly<Record<string, unknown>>): DecisionInput {
  const context = memberOf(partial, 'context')
  return {
    ...partial,
    schema_version: partial.schema_version ?? POLICY_SCHEMA_VERSION,
    principal: memberOf(partial, 'principal'),
    resource: memberOf(partial, 'resource'),
    action: memberOf(partial, 'action'),
    context: { ...context, requested_scopes: context.requested_scopes ?? [] },
  } as unknown as DecisionInput
}

function memberOf(
  partial: Readonly<Record<string, unknown>>,
  name: string,
): Readonly<Record<string, unknown>> {
  const member = partial[name]
  return isRecord(member) ? member : {}
}
