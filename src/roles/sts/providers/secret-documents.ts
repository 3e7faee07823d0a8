/** Opens the sealed secret documents of providers, each once: the definition object is replaced whenever its rows change. */
import { LRUCache } from 'lru-cache'
import type { EnvelopeCipher } from '../../../platform/crypto/port.ts'
import { providerSecretRef } from '../../../platform/crypto/secret-store.ts'
import type { ProviderDefinition } from '../definitions.ts'
import { DirectiveProblem, type SecretDocument } from '../directive.ts'
import type { StsCounters } from '../metrics.ts'

/** Empty when nothing is sealed. Throws `DirectiveProblem`. */
export type SecretDocuments = (zoneId: string, provider: ProviderDefinition) => SecretDocument

export function createSecretDocuments(cipher: EnvelopeCipher, counters: StsCounters): SecretDocuments {
  const documents = new LRUCache<ProviderDefinition, SecretDocument>({ max: 2_048, ttl: 15 * 60_000 })
  return (zoneId, provider) => {
    if (provider.sealedSecrets === null) return {}
    const known = documents.get(provider)
    if (known !== undefined) return known
    counters.secretBackendReads += 1
    try {
      const document = openDocument(cipher, zoneId, provider.id, provider.sealedSecrets)
      documents.set(provider, document)
      return document
    } catch (error) {
      counters.secretBackendErrors += 1
      throw error
    }
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
