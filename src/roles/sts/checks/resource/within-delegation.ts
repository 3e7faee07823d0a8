/** R3: the delegation reaches this resource. */
import type { ResourceDefinition } from '../../definitions.ts'
import { delegationMetadata } from '../../evidence.ts'
import type { ExchangeDeps } from '../../exchange-deps.ts'
import type { Exchange } from '../../exchange-state.ts'

export function withinDelegation(x: Exchange, resource: ResourceDefinition, deps: ExchangeDeps): boolean {
  if (x.delegation === null) return true
  const { leaf, constraints } = x.delegation
  const within =
    (leaf.resource_id === null || leaf.resource_id === resource.id) &&
    (constraints.resources.length === 0 || constraints.resources.includes(resource.identifier))
  if (!within) {
    deps.evidence.denied(x, 'resource_outside_delegation', {
      resource: resource.identifier,
      ...delegationMetadata(x),
    })
  }
  return within
}
