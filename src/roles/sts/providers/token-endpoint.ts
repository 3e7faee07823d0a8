/**
 * One call to a provider's token endpoint (sts §10.4, gateway §25.2): guarded egress,
 * client authentication, two attempts, a small answer. Errors name the provider's
 * problem, never a secret or the URL.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { EgressError, type EgressGuard } from '../../../platform/egress/guarded-fetch.ts'
import {
  clientAuthentication,
  configList,
  configText,
  tokenParameters,
} from '../../../platform/oauth/client.ts'
import type { ProviderDefinition } from '../definitions.ts'
import type { SecretDocument } from '../directive.ts'
import { asTokenError, misconfigured, UpstreamTokenError } from './upstream-token-error.ts'

export interface TokenGrant {
  readonly accessToken: string
  /** Seconds; `null` when the endpoint named none. */
  readonly expiresIn: number | null
  readonly refreshToken: string | null
}

const timeoutMs = 5_000
const maxAnswerBytes = 64 * 1024
const attempts = 2

/** `grant` are the fields of the grant itself; client authentication and `token_params` are added. */
export async function requestToken(
  egress: EgressGuard,
  provider: ProviderDefinition,
  secrets: SecretDocument,
  grant: Readonly<Record<string, string>>,
): Promise<TokenGrant> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await requestOnce(egress, provider, secrets, grant)
    } catch (error) {
      if (attempt === attempts) throw asTokenError(error)
      await pause(100 + Math.random() * 100)
    }
  }
}

async function requestOnce(
  egress: EgressGuard,
  provider: ProviderDefinition,
  secrets: SecretDocument,
  grant: Readonly<Record<string, string>>,
): Promise<TokenGrant> {
  const endpoint = configText(provider, 'token_endpoint')
  if (endpoint === null) throw misconfigured('token_endpoint is missing')
  const hosts = configList(provider, 'allowed_token_hosts')
  if (hosts.length === 0) throw misconfigured('allowed_token_hosts is empty')
  const authentication = await clientAuthentication({ config: provider.config, secrets })
  const form = new URLSearchParams({ ...tokenParameters(provider), ...grant, ...authentication.form })
  let response: Awaited<ReturnType<EgressGuard['fetch']>>
  try {
    response = await egress.fetch(endpoint, {
      method: 'POST',
      allowedHosts: hosts,
      timeoutMs,
      maxBytes: maxAnswerBytes,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
        ...authentication.headers,
      },
      body: form.toString(),
    })
  } catch (error) {
    if (error instanceof EgressError) {
      throw new UpstreamTokenError('http_request_failed', `token endpoint: ${error.reason}`, true)
    }
    throw error
  }
  if (response.status !== 200) {
    throw new UpstreamTokenError('http_request_failed', `token endpoint answered ${response.status}`)
  }
  return readGrant(provider, response.body)
}

function readGrant(provider: ProviderDefinition, body: Buffer): TokenGrant {
  let document: Record<string, unknown>
  try {
    document = JSON.parse(body.toString('utf8')) as Record<string, unknown>
  } catch {
    throw new UpstreamTokenError('http_request_failed', 'token endpoint answered no JSON')
  }
  const { access_token, token_type, expires_in, refresh_token } = document ?? {}
  if (typeof access_token !== 'string' || access_token === '') {
    throw new UpstreamTokenError('http_request_failed', 'token endpoint answered no access token')
  }
  const bearer =
    token_type === undefined ||
    token_type === '' ||
    (typeof token_type === 'string' && token_type.toLowerCase() === 'bearer')
  if (!bearer && configText(provider, 'auth_scheme') === null) {
    throw new UpstreamTokenError('http_request_failed', 'token endpoint answered a token that is no bearer')
  }
  const seconds = typeof expires_in === 'string' ? Number(expires_in) : expires_in
  return {
    accessToken: access_token,
    expiresIn: typeof seconds === 'number' && Number.isFinite(seconds) && seconds > 0 ? seconds : null,
    refreshToken: typeof refresh_token === 'string' && refresh_token !== '' ? refresh_token : null,
  }
}
