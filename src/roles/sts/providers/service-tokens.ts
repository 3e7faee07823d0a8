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
import type { ProviderDefinition } from '../definitions.ts'
import type { SecretDocument, UpstreamToken } from '../directive.ts'
import type { StsCounters } from '../metrics.ts'
import type { Circuit } from './circuit.ts'
import { signAssertion } from './client-authentication.ts'
import { configList, configText, misconfigured, UpstreamTokenError } from './provider-config.ts'
import { requestToken } from './token-endpoint.ts'

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
const assertionLifetimeSeconds = 300

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
      const grant = await requestToken(deps.egress, provider, secrets, await grantFields(provider, secrets))
      await deps.circuit.succeeded(provider.id)
      const lifetime = Math.min(grant.expiresIn ?? deps.maxLifetimeSeconds, deps.maxLifetimeSeconds)
      const token = { fingerprint: mark, value: grant.accessToken, expiresAt: Date.now() + lifetime * 1000 }
      kept.set(provider.id, token)
      return token
    } catch (error) {
      deps.counters.providerRefreshErrors += 1
      await deps.circuit.failed(provider.id)
      throw error
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

async function grantFields(
  provider: ProviderDefinition,
  secrets: SecretDocument,
): Promise<Record<string, string>> {
  const scope = configList(provider, 'scopes').join(' ')
  const grantType = configText(provider, 'grant_type') ?? 'client_credentials'
  if (grantType === 'client_credentials') {
    return {
      grant_type: 'client_credentials',
      ...(scope === '' ? {} : { scope }),
      ...optional(provider, 'audience'),
      ...optional(provider, 'resource'),
    }
  }
  if (grantType !== 'jwt_bearer') throw misconfigured('grant_type is not supported')
  const clientId = configText(provider, 'client_id')
  const endpoint = configText(provider, 'token_endpoint')
  if (clientId === null || endpoint === null) throw misconfigured('client_id or token_endpoint is missing')
  return {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: await signAssertion(provider, secrets, assertionLifetimeSeconds, {
      iss: clientId,
      sub: configText(provider, 'assertion_subject') ?? clientId,
      aud: configText(provider, 'assertion_audience') ?? endpoint,
      ...(scope === '' ? {} : { scope }),
    }),
  }
}

function optional(provider: ProviderDefinition, name: string): Record<string, string> {
  const value = configText(provider, name)
  return value === null ? {} : { [name]: value }
}
