/**
 * R5: mints per zone, resource and application in a fixed minute. A gateway exchange
 * is not counted: the mandate it presents was (sts §11). All resources of a request
 * are counted in one trip.
 */
import type { ResourceDefinition } from '../../definitions.ts'
import type { ExchangeDeps } from '../../exchange-deps.ts'
import type { Exchange } from '../../exchange-state.ts'
import { mintKey } from '../../mint-limit.ts'

/** The resources that are still within the limit. Rejects with 503 when it cannot be known. */
export async function withinMintRate(
  x: Exchange,
  resources: readonly ResourceDefinition[],
  deps: ExchangeDeps,
): Promise<readonly ResourceDefinition[]> {
  if (x.request.gateway !== null || resources.length === 0) return resources
  const limit = deps.mintLimit.perMinute()
  const keyOf = (resource: ResourceDefinition) => mintKey(x.zoneId, resource.id, x.application.id)
  const keys = resources.map(keyOf).filter((key) => !x.counted.has(key))
  if (keys.length > 0) {
    const counters = await deps.mintLimit.count(keys)
    for (const [index, counter] of counters.entries()) x.counted.set(keys[index] as string, counter)
  }
  return resources.filter((resource) => {
    const counter = x.counted.get(keyOf(resource))
    if (counter !== undefined && counter.count <= limit) return true
    deps.evidence.denied(x, 'rate_limited', { resource: resource.identifier })
    x.rateLimited.count += 1
    x.rateLimited.remainingMs = Math.max(x.rateLimited.remainingMs, counter?.remainingMs ?? 0)
    return false
  })
}
