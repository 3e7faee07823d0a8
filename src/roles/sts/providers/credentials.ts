/**
 * The credential side of a resource mandate: opens what is sealed, asks for what
 * must be fetched, and answers a directive per granted resource.
 */
import { LRUCache } from 'lru-cache'
import type { EnvelopeCipher } from '../../../platform/crypto/port.ts'
import { providerSecretRef } from '../../../platform/crypto/secret-store.ts'
import type { ProviderDefinition, ResourceDefinition } from '../definitions.ts'
import { buildDirective, DirectiveProblem, type SecretDocument } from '../directive.ts'
import type { UpstreamDirective } from '../port.ts'

export interface ProviderCredentials {
  /** Rejects with `DirectiveProblem`. */
  directive(resource: ResourceDefinition): Promise<UpstreamDirective> | UpstreamDirective
  /** The opened secret document; empty when nothing is sealed. Throws `DirectiveProblem`. */
  secrets(zoneId: string, provider: ProviderDefinition): SecretDocument
}

export function createProviderCredentials(cipher: EnvelopeCipher): ProviderCredentials {
  const opened = createSecretDocuments(cipher)
  return {
    secrets: opened,
    directive(resource) {
      const { provider } = resource
      const secrets = provider === null || provider === 'missing' ? {} : opened(resource.zoneId, provider)
      return buildDirective(resource, secrets, null)
    },
  }
}

/** Opens each sealed document once: the definition object is replaced whenever its rows change. */
export function createSecretDocuments(
  cipher: EnvelopeCipher,
): (zoneId: string, provider: ProviderDefinition) => SecretDocument {
  const documents = new LRUCache<ProviderDefinition, SecretDocument>({ max: 2_048, ttl: 15 * 60_000 })
  return (zoneId, provider) => {
    if (provider.sealedSecrets === null) return {}
    const known = documents.get(provider)
    if (known !== undefined) return known
    const document = openDocument(cipher, zoneId, provider.id, provider.sealedSecrets)
    documents.set(provider, document)
    return document
  }
}

function openDocument(
  cipher: EnvelopeCipher,
  zoneId: string,
  providerId: string,
  envelope: Buffer,
): SecretDocument {
  let document: unknown
  try {
    document = JSON.parse(cipher.open(envelope, providerSecretRef(zoneId, providerId)).toString('utf8'))
  } catch {
    throw new DirectiveProblem('sealed credential cannot be opened')
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new DirectiveProblem('sealed credential is malformed')
  }
  return document as SecretDocument
}
