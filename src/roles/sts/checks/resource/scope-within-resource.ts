/** R2: every requested scope is one the resource declares; `agent:lifecycle` is implied by an upstream. */
import type { ResourceDefinition } from '../../definitions.ts'
import type { ExchangeDeps } from '../../exchange-deps.ts'
import { type Exchange, lifecycleScope } from '../../exchange-state.ts'

export function scopeWithinResource(x: Exchange, resource: ResourceDefinition, deps: ExchangeDeps): boolean {
  const within = x.request.requestedScopes.every(
    (scope) =>
      resource.scopes.includes(scope) ||
      (scope === lifecycleScope && resource.upstreamUrl !== null && resource.upstreamUrl !== ''),
  )
  if (!within) deps.evidence.denied(x, 'scope_mismatch', { resource: resource.identifier })
  return within
}
