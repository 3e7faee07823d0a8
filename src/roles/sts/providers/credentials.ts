/**
 * The credential side of a mandate: opens what is sealed, fetches what must be
 * fetched, and answers how the gateway authenticates to the upstream.
 */
import type { ProviderDefinition, ResourceDefinition } from '../definitions.ts'
import { buildDirective, DirectiveProblem, type SecretDocument, type UpstreamToken } from '../directive.ts'
import type { UpstreamDirective } from '../port.ts'
import type { SecretDocuments } from './secret-documents.ts'
import type { ServiceTokens } from './service-tokens.ts'
import { UpstreamTokenError } from './upstream-token-error.ts'
import type { UserConnections } from './user-connections.ts'

export interface ProviderCredentials {
  /** Rejects with `DirectiveProblem`. `token` is the connection token step R8 found. */
  directive(resource: ResourceDefinition, token: UpstreamToken | null): Promise<UpstreamDirective>
  /** The opened secret document; empty when nothing is sealed. Throws `DirectiveProblem`. */
  secrets(zoneId: string, provider: ProviderDefinition): SecretDocument
  /** A service token. Rejects with `DirectiveProblem`. */
  serviceToken(zoneId: string, provider: ProviderDefinition): Promise<UpstreamToken>
  /** A subject's upstream token, `null` when no account is connected. Rejects with `UpstreamTokenError` or `DirectiveProblem`. */
  connectionToken(
    zoneId: string,
    provider: ProviderDefinition,
    subjectId: string,
  ): Promise<UpstreamToken | null>
}

export interface ProviderCredentialDeps {
  readonly documents: SecretDocuments
  readonly serviceTokens: ServiceTokens
  readonly connections: UserConnections
}

export function createProviderCredentials(deps: ProviderCredentialDeps): ProviderCredentials {
  async function serviceToken(zoneId: string, provider: ProviderDefinition): Promise<UpstreamToken> {
    try {
      return await deps.serviceTokens.get(provider, deps.documents(zoneId, provider))
    } catch (error) {
      if (error instanceof UpstreamTokenError) throw new DirectiveProblem(error.message)
      throw error
    }
  }

  return {
    secrets: deps.documents,
    serviceToken,
    connectionToken: async (zoneId, provider, subjectId) =>
      deps.connections.get(zoneId, provider, deps.documents(zoneId, provider), subjectId),

    async directive(resource, token) {
      const { provider } = resource
      if (provider === null || provider === 'missing') return buildDirective(resource, {}, null)
      if (provider.kind === 'oauth2_client_credentials') {
        const { value } = await serviceToken(resource.zoneId, provider)
        return buildDirective(resource, {}, { value })
      }
      return buildDirective(resource, deps.documents(resource.zoneId, provider), token)
    },
  }
}
