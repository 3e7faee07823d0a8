/** Finds what a launch asks for and judges whether it may be injected at all (sts §14). */
import type { ProviderDefinition, ResourceDefinition } from '../definitions.ts'
import type { Metadata } from '../evidence.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import { lifecycleScope } from '../exchange-state.ts'
import { readResourceSnapshot } from '../open-exchange.ts'
import type { LoadedBundle } from '../policy-bundles.ts'
import { accessDenied, resourceNotFound, unavailable } from '../refusal.ts'
import type { WorkloadRow } from '../store/workloads.ts'
import type { Binding } from './bindings.ts'
import { type Launch, workloadMetadata } from './workload.ts'

/** What the steps know once the binding is found. */
export interface Injection {
  readonly workload: WorkloadRow
  readonly launch: Launch
  readonly binding: Binding
  readonly facts: Metadata
  readonly resource: ResourceDefinition
  readonly provider: ProviderDefinition
  readonly bundle: LoadedBundle
}

/** Rejects with 403, 404 or 503. */
export async function openInjection(
  workload: WorkloadRow,
  launch: Launch,
  binding: Binding,
  deps: ExchangeDeps,
): Promise<Injection> {
  const facts = {
    ...workloadMetadata(workload, launch),
    resource: binding.resource,
    env: binding.env,
  }
  const deny = (status: string, extra: Metadata = {}) =>
    denied(workload.zone_id, launch, status, { ...facts, ...extra }, deps)
  const { resource, binding: active } = await readResourceSnapshot(workload.zone_id, binding.resource, deps)
  if (resource === null) {
    deny('resource_not_found')
    throw resourceNotFound('resource of the binding does not exist')
  }
  const { provider } = resource
  if (provider === null || provider === 'missing') {
    deny('provider_unavailable', { reason: provider === null ? 'no_provider' : 'provider_not_found' })
    throw accessDenied('resource has no provider')
  }
  assertInjectable(provider, deny)
  if (!binding.scopes.every((scope) => scopeDeclared(resource, scope))) {
    deny('scope_mismatch')
    throw accessDenied('binding exceeds the scopes of its resource')
  }
  let bundle: LoadedBundle
  try {
    bundle = await deps.bundles.at(workload.zone_id, active)
  } catch (error) {
    throw unavailable('policy cannot be read', error)
  }
  return { workload, launch, binding, facts, resource, provider, bundle }
}

const injectableKinds = new Set(['api_key', 'bearer_token', 'oauth2_client_credentials'])

function assertInjectable(
  provider: ProviderDefinition,
  deny: (status: string, extra: Metadata) => void,
): void {
  if (injectableKinds.has(provider.kind) && provider.config.allow_runtime_injection === true) return
  deny('credential_injection_denied', { reason: 'runtime_injection_not_allowed' })
  throw accessDenied('provider does not allow runtime injection')
}

function scopeDeclared(resource: ResourceDefinition, scope: string): boolean {
  return (
    resource.scopes.includes(scope) ||
    (scope === lifecycleScope && resource.upstreamUrl !== null && resource.upstreamUrl !== '')
  )
}

/** Records a denial of a launch. */
export function denied(
  zoneId: string,
  launch: Launch,
  status: string,
  metadata: Metadata,
  deps: ExchangeDeps,
): void {
  void deps.evidence.emit({ zoneId, requestId: launch.requestId, decision: 'deny', status, metadata })
}
