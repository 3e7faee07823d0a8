/** R1: a live resource of the zone, by identifier or row id. */
import type { ResourceDefinition } from '../../definitions.ts'
import type { ExchangeDeps } from '../../exchange-deps.ts'
import type { Exchange } from '../../exchange-state.ts'

/** Distinct rows in the order of the request; names without a row are audited and left out. */
export function findResources(x: Exchange, deps: ExchangeDeps): ResourceDefinition[] {
  const found = new Map<string, ResourceDefinition>()
  for (const name of x.request.resources) {
    const resource = x.resources.get(name)
    if (resource === undefined) deps.evidence.denied(x, 'resource_not_found', { resource: name })
    else found.set(resource.id, resource)
  }
  return [...found.values()]
}
