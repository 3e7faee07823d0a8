/** Whether a binding can be served: only credentials whose provider allows it leave the server (gateway §22.5). */
import type { Binding, Provider, Resource } from '../definitions/shapes.ts'

const neverLeaves = ['none', 'caracal_mandate', 'http_basic', 'oauth2_authorization_code']

/** One sentence, or null when nothing stands in the way but policy. */
export function obstacleOf(
  binding: Binding,
  resources: readonly Resource[],
  providers: readonly Provider[],
): string | null {
  const resource = resources.find(({ identifier }) => identifier === binding.resource)
  if (resource === undefined) return 'There is no such resource.'
  const missing = binding.scopes?.filter((scope) => !resource.scopes.includes(scope)) ?? []
  if (missing.length > 0) return `The resource has no scope ${missing.join(', ')}.`
  const provider = providers.find(({ id }) => id === resource.credential_provider_id)
  if (provider === undefined) return 'The provider of the resource was deleted.'
  if (neverLeaves.includes(provider.kind)) return `Provider ${provider.name} has no credential to hand out.`
  if (provider.config_json.allow_runtime_injection !== true)
    return `Provider ${provider.name} does not let workloads have its credential.`
  return null
}
