/**
 * Step H: decides about each requested resource (sts §5.4). A resource that falls is
 * left out of the mandate; a few findings refuse the whole exchange. Counting happens
 * once for all resources, between the rules that cost nothing and the ones that decide.
 */
import type { ExchangeDeps } from '../exchange-deps.ts'
import { type Exchange, Unproven } from '../exchange-state.ts'
import { activeVersion } from '../open-exchange.ts'
import type { LoadedBundle } from '../policy-bundles.ts'
import { unavailable } from '../refusal.ts'
import { grantToControlKey } from './resource/control-key-grant.ts'
import { decidePolicy } from './resource/decide-policy.ts'
import { findResources } from './resource/find-resource.ts'
import { withinMintRate } from './resource/mint-rate.ts'
import { assertOperationFloor } from './resource/operation-floor.ts'
import { providerReady } from './resource/provider-ready.ts'
import { scopeWithinResource } from './resource/scope-within-resource.ts'
import { withinDelegation } from './resource/within-delegation.ts'

export async function decideResources(x: Exchange, deps: ExchangeDeps): Promise<void> {
  const candidates = findResources(x, deps)
    .filter((resource) => scopeWithinResource(x, resource, deps))
    .filter((resource) => withinDelegation(x, resource, deps))
  for (const resource of candidates) assertOperationFloor(x, resource, deps)
  for (const resource of await withinMintRate(x, candidates, deps)) {
    if (grantToControlKey(x, resource, deps)) continue
    if (!(await providerReady(x, resource, deps))) continue
    decidePolicy(x, resource, x.bundle ?? (await bundleInForce(x, deps)), deps)
  }
}

/** The bundle of the version the snapshot saw. A version that is only remembered is never brought back in force. */
export async function bundleInForce(x: Exchange, deps: ExchangeDeps): Promise<LoadedBundle> {
  const version = activeVersion(x.snapshot)
  if (x.premise !== null && deps.bundles.versionInForce(x.zoneId) !== version?.versionId) {
    throw new Unproven(true)
  }
  try {
    x.bundle = await deps.bundles.at(x.zoneId, version)
    return x.bundle
  } catch (error) {
    throw unavailable('policy cannot be read', error)
  }
}
