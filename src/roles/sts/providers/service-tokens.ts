/**
 * Tokens of `oauth2_client_credentials` providers (sts §10.4, gateway §25.3): fetched
 * once per process and provider, kept until 30 s before they end. A changed
 * configuration or secret changes the fingerprint and so takes effect at once.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { canonicalJson } from '../../../platform/canonical-json.ts'
import { sha256Hex } from '../../../platform/crypto/hmac.ts'
import type { EgressGuard } from '../../../platform/egress/guarded-fetch.ts'
import { serviceGrant } from '../../../platform/oauth/client.ts'
import type { ProviderDefinition } from '../definitions.ts'
import type { SecretDocument, UpstreamToken } from '../directive.ts'
import type { StsCounters } from '../metrics.ts'
import type { Circuit } from './circuit.ts'
import { requestToken } from './token-endpoint.ts'
import { asTokenError, UpstreamTokenError } from './upstream-token-error.ts'

export interface ServiceTokens {
  /** A token with at least 30 s left. Rejects with `UpstreamTokenError`. */
  get(
    provider: ProviderDefinition,
    secrets: SecretDocument,
  ): Promise<Required<Pick<UpstreamToken, 'expiresAt'>> & UpstreamToken>
}

export interface ServiceTokenDeps {
  readonly egress: EgressGuard
  readonly circuit: Circuit
  readonly counters: StsCounters
  readonly maxLifetimeSeconds: number
}

interface KeptToken {
  readonly fingerprint: string
  readonly value: string
  /** Unix milliseconds. */
  readonly expiresAt: number
}

const reserveMs = 30_000

export function createServiceTokens(deps: ServiceTokenDeps): ServiceTokens {
  const kept = new LRUCache<string, KeptToken>({ max: 10_000 })
  const fetching = new Map<string, Promise<KeptToken>>()

  async function fetchToken(
    provider: ProviderDefinition,
    secrets: SecretDocument,
    mark: string,
  ): Promise<KeptToken> {
    if (await deps.circuit.isOpen(provider.id)) {
      deps.counters.providerCircuitOpen += 1
      throw new UpstreamTokenError(
        'http_request_failed',
        'token endpoint failed too often and is given a rest',
      )
    }
    try {
      const asked = await serviceGrant({ config: provider.config, secrets })
      const grant = await requestToken(deps.egress, provider, secrets, asked)
      await deps.circuit.succeeded(provider.id)
      const lifetime = Math.min(grant.expiresIn ?? deps.maxLifetimeSeconds, deps.maxLifetimeSeconds)
      const token = { fingerprint: mark, value: grant.accessToken, expiresAt: Date.now() + lifetime * 1000 }
      kept.set(provider.id, token)
      return token
    } catch (error) {
      deps.counters.providerRefreshErrors += 1
      await deps.circuit.failed(provider.id)
      throw asTokenError(error)
    }
  }

  return {
    async get(provider, secrets) {
      const mark = fingerprint(provider, secrets)
      const known = kept.get(provider.id)
      if (known?.fingerprint === mark && known.expiresAt > Date.now() + reserveMs) return upstream(known)
      const key = `${provider.id}\0${mark}`
      let running = fetching.get(key)
      if (running === undefined) {
        running = fetchToken(provider, secrets, mark).finally(() => fetching.delete(key))
        fetching.set(key, running)
      } else {
        deps.counters.providerRefreshShared += 1
      }
      return upstream(await running)
    },
  }
}

function upstream(token: KeptToken) {
  return { value: token.value, expiresAt: Math.floor(token.expiresAt / 1000) }
}

function fingerprint(provider: ProviderDefinition, secrets: SecretDocument): string {
  return createHash('sha256')
    .update(`${provider.kind}\0${canonicalJson(provider.config)}\0${sha256Hex(canonicalJson(secrets))}`)
    .digest('hex')
}
