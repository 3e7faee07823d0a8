/**
 * R8: before policy decides about a governed call, its upstream credential must
 * exist: a mandate without one would only fail at the gateway.
 */
import type { ResourceDefinition } from '../../definitions.ts'
import type { ExchangeDeps } from '../../exchange-deps.ts'
import type { Exchange } from '../../exchange-state.ts'

export async function providerReady(
  x: Exchange,
  resource: ResourceDefinition,
  deps: ExchangeDeps,
): Promise<boolean> {
  if (x.request.gateway === null || resource.provider === null) return true
  if (resource.provider === 'missing') {
    deps.evidence.denied(x, 'provider_unavailable', {
      resource: resource.identifier,
      reason: 'provider_not_found',
    })
    x.providerProblem ??= {
      code: 'access_denied',
      message: `provider of ${resource.identifier} is not available`,
    }
    return false
  }
  return true
}
