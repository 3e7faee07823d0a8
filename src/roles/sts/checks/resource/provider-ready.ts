/**
 * R8: before policy decides about a governed call, its upstream credential must
 * exist: a mandate without one would only fail at the gateway. The reason is
 * remembered; it becomes the answer when nothing else is granted.
 */
import type { ProviderDefinition, ResourceDefinition } from '../../definitions.ts'
import { DirectiveProblem } from '../../directive.ts'
import type { ExchangeDeps } from '../../exchange-deps.ts'
import type { Exchange, ProviderProblem } from '../../exchange-state.ts'
import { UpstreamTokenError } from '../../providers/upstream-token-error.ts'

export async function providerReady(
  x: Exchange,
  resource: ResourceDefinition,
  deps: ExchangeDeps,
): Promise<boolean> {
  const { provider } = resource
  if (x.request.gateway === null || provider === null) return true
  if (provider === 'missing') {
    return missing(x, resource, deps, 'provider_unavailable', 'provider_not_found', {
      code: 'access_denied',
      message: `provider of ${resource.identifier} is not available`,
    })
  }
  return provider.kind === 'oauth2_authorization_code' ? connected(x, resource, provider, deps) : true
}

async function connected(
  x: Exchange,
  resource: ResourceDefinition,
  provider: ProviderDefinition,
  deps: ExchangeDeps,
): Promise<boolean> {
  const subjectId = x.presented?.sub ?? ''
  if (subjectId === '') {
    return missing(x, resource, deps, 'credential_not_provisioned', 'no_user_principal', {
      code: 'access_denied',
      message: `${resource.identifier} needs a subject whose account is connected`,
    })
  }
  // A token that has run out is renewed or given up: not for a mandate that was used before.
  await x.pendingUse?.claim()
  try {
    const token = await deps.credentials.connectionToken(x.zoneId, provider, subjectId)
    if (token === null) {
      return missing(x, resource, deps, 'credential_not_provisioned', 'no_provider_connection', {
        code: 'access_denied',
        message: `no account of ${subjectId} is connected for ${resource.identifier}; connect the account first`,
      })
    }
    x.upstreamTokens.set(resource.id, token)
    return true
  } catch (error) {
    if (error instanceof DirectiveProblem) {
      return missing(x, resource, deps, 'provider_unavailable', 'provider_config_invalid', {
        code: 'access_denied',
        message: `provider of ${resource.identifier} is not available`,
      })
    }
    if (!(error instanceof UpstreamTokenError)) throw error
    // Whatever else failed says nothing about the account.
    const code = error.code === 'http_request_failed' ? 'sts_unavailable' : error.code
    return missing(x, resource, deps, 'credential_refresh_failed', code, {
      code,
      message: `credential of ${resource.identifier} is not available: ${error.message}`,
    })
  }
}

function missing(
  x: Exchange,
  resource: ResourceDefinition,
  deps: ExchangeDeps,
  status: string,
  reason: string,
  problem: ProviderProblem,
): false {
  deps.evidence.denied(x, status, { resource: resource.identifier, reason })
  x.providerProblem ??= problem
  return false
}
