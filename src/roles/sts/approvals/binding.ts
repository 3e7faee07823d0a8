/**
 * What an approval is given for, as one hash (sts §8.6). Whatever of it changes
 * (another session, other scopes, a new policy version) makes the approval match nothing.
 */
import { createHash } from 'node:crypto'
import { DECISION_CONTRACT_SHA, DECISION_CONTRACT_VERSION } from '../../../policy/index.ts'

export interface BindingFacts {
  readonly resources: readonly string[]
  readonly scopes: readonly string[]
  readonly principal: string
  readonly authorityRecord: string
  readonly session: string
  readonly delegation: string
  readonly application: string
  readonly policySetVersion: string
  readonly policyManifest: string
}

/** SHA-256 over the request and the decision contract in force. */
export function requestBinding(facts: BindingFacts): Buffer {
  return bindingHash({
    ...facts,
    contractVersion: DECISION_CONTRACT_VERSION,
    contractSha: DECISION_CONTRACT_SHA,
  })
}

export function bindingHash(
  facts: BindingFacts & { readonly contractVersion: string; readonly contractSha: string },
): Buffer {
  const members: readonly (readonly [string, string])[] = [
    ['resources', canonicalList(facts.resources, (text) => text.toLowerCase())],
    ['scopes', canonicalList(facts.scopes, (text) => text)],
    ['principal', facts.principal],
    ['authority_record', facts.authorityRecord],
    ['session', facts.session],
    ['delegation', facts.delegation],
    ['application', facts.application],
    ['policy_set_version', facts.policySetVersion],
    ['policy_manifest', facts.policyManifest],
    ['decision_contract_version', facts.contractVersion],
    ['decision_contract_sha', facts.contractSha],
  ]
  return createHash('sha256')
    .update(members.map(([name, value]) => `${name}\0${value}`).join('\0'), 'utf8')
    .digest()
}

function canonicalList(values: readonly string[], fold: (text: string) => string): string {
  return [...new Set(values.map((value) => fold(value.trim())))].sort().join('\n')
}
