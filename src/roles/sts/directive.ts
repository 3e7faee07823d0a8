/**
 * How the gateway authenticates to an upstream, per provider kind (sts §4.7,
 * gateway §22.4). Stored configuration is judged again here: a value that could
 * smuggle a header or a host denies with 502, whatever let it into the row.
 */
import type { ProviderDefinition, ResourceDefinition } from './definitions.ts'
import type { UpstreamDirective } from './port.ts'

/** Why no directive can be built; a sentence without any secret. */
export class DirectiveProblem extends Error {
  override readonly name = 'DirectiveProblem'
}

/** The opened secret document of a provider: any of the sealed keys of gateway §22.2. */
export type SecretDocument = Readonly<Record<string, unknown>>

/** A token that was fetched or refreshed for this exchange. */
export interface UpstreamToken {
  readonly value: string
  readonly connectionId?: string
  /** Unix seconds. */
  readonly expiresAt?: number
}

/** Directive of a resource whose provider needs no fetched token. `secrets` is read for the static kinds only. */
export function buildDirective(
  resource: ResourceDefinition,
  secrets: SecretDocument,
  token: UpstreamToken | null,
): UpstreamDirective {
  const { provider } = resource
  if (provider === 'missing') throw new DirectiveProblem('provider is not available')
  const upstream = { url: resource.upstreamUrl ?? '', ...paths(resource) }
  if (provider === null) return { ...upstream, ...caracalMandate }
  const base = { ...upstream, provider_id: provider.id, ...identity(provider) }
  switch (provider.kind) {
    case 'none':
      return { ...base, auth_mode: 'none' }
    case 'caracal_mandate':
      return { ...base, ...caracalMandate }
    case 'api_key':
      return { ...base, ...apiKey(provider, secrets) }
    case 'bearer_token':
      return {
        ...base,
        ...bearer(provider),
        ...hosts(provider),
        provider_token: secretValue(secrets, 'bearer_token'),
      }
    case 'http_basic':
      return {
        ...base,
        auth_mode: 'provider_oauth',
        auth_header: 'Authorization',
        auth_scheme: 'Basic',
        ...hosts(provider),
        provider_token: basicCredential(provider, secrets),
      }
    case 'oauth2_client_credentials':
    case 'oauth2_authorization_code':
      if (token === null) throw new DirectiveProblem('no upstream token')
      return {
        ...base,
        ...bearer(provider),
        provider_token: token.value,
        ...(token.connectionId === undefined ? {} : { connection_id: token.connectionId }),
        ...(token.expiresAt === undefined ? {} : { expires_at: token.expiresAt }),
      }
    default:
      throw new DirectiveProblem('provider kind is not supported')
  }
}

const caracalMandate = {
  auth_mode: 'caracal_jwt',
  auth_header: 'Authorization',
  auth_scheme: 'Bearer',
} as const

const paths = (resource: ResourceDefinition): Pick<UpstreamDirective, 'transport_uniform'> =>
  resource.operationEnforcement === 'transport_uniform' ? { transport_uniform: true } : {}

function identity(provider: ProviderDefinition): Pick<UpstreamDirective, 'forward_caracal_identity'> {
  return provider.config.forward_caracal_identity === true ? { forward_caracal_identity: true } : {}
}

function apiKey(provider: ProviderDefinition, secrets: SecretDocument) {
  const location = optionalText(provider, 'auth_location') ?? 'header'
  const credential = { provider_token: secretValue(secrets, 'api_key'), ...hosts(provider) }
  const scheme = authScheme(optionalText(provider, 'auth_scheme'))
  if (location === 'query') {
    if (scheme !== null) throw new DirectiveProblem('auth_scheme is not allowed in a query')
    const name = optionalText(provider, 'query_param_name')
    if (name === null || !/^[A-Za-z0-9._~-]+$/.test(name)) {
      throw new DirectiveProblem('query_param_name is not valid')
    }
    return {
      auth_mode: 'provider_apikey',
      auth_location: 'query',
      query_param_name: name,
      ...credential,
    } as const
  }
  if (location !== 'header') throw new DirectiveProblem('auth_location is not valid')
  const header = headerName(optionalText(provider, 'header_name'))
  if (header === null) throw new DirectiveProblem('header_name is missing')
  return {
    auth_mode: 'provider_apikey',
    auth_location: 'header',
    auth_header: header,
    ...(scheme === null ? {} : { auth_scheme: scheme }),
    ...credential,
  } as const
}

function bearer(provider: ProviderDefinition) {
  return {
    auth_mode: 'provider_oauth',
    auth_header: headerName(optionalText(provider, 'auth_header')) ?? 'Authorization',
    auth_scheme: authScheme(optionalText(provider, 'auth_scheme')) ?? 'Bearer',
  } as const
}

function basicCredential(provider: ProviderDefinition, secrets: SecretDocument): string {
  const username = optionalText(provider, 'username')?.trim() ?? ''
  if (username === '') throw new DirectiveProblem('username is missing')
  return Buffer.from(`${username}:${secretValue(secrets, 'password')}`, 'utf8').toString('base64')
}

/** A credential that can stand in a header: present, and free of control characters. */
export function secretValue(secrets: SecretDocument, name: string): string {
  const value = secrets[name]
  if (typeof value !== 'string' || value === '') throw new DirectiveProblem(`${name} is not stored`)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\u0000-\u001f\u007f]/.test(value)) throw new DirectiveProblem(`${name} contains control characters`)
  return value
}

function optionalText(provider: ProviderDefinition, name: string): string | null {
  const value = provider.config[name]
  if (value === undefined || value === null || value === '') return null
  if (typeof value !== 'string') throw new DirectiveProblem(`${name} is not a string`)
  return value
}

function headerName(name: string | null): string | null {
  if (name !== null && !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    throw new DirectiveProblem('header name is not valid')
  }
  return name
}

function authScheme(scheme: string | null): string | null {
  if (scheme !== null && !/^[A-Za-z][A-Za-z0-9-]*$/.test(scheme)) {
    throw new DirectiveProblem('auth_scheme is not valid')
  }
  return scheme
}

function hosts(provider: ProviderDefinition): Pick<UpstreamDirective, 'allowed_token_hosts'> {
  const value = provider.config.allowed_token_hosts
  if (value === undefined || value === null) return {}
  if (!Array.isArray(value)) throw new DirectiveProblem('allowed_token_hosts is not a list')
  const names = value.map((host) => (typeof host === 'string' ? host.trim().toLowerCase() : ''))
  if (!names.every(isHostName)) throw new DirectiveProblem('allowed_token_hosts names no valid host')
  return names.length === 0 ? {} : { allowed_token_hosts: names }
}

function isHostName(host: string): boolean {
  return host.length <= 253 && /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/.test(host) && !host.includes('..')
}
