/** Reading a provider's stored configuration, and the one error of everything that fetches upstream tokens. */
import type { ProviderDefinition } from '../definitions.ts'

/** Why no token was had; the message is safe to show to an operator and to the caller. */
export class UpstreamTokenError extends Error {
  override readonly name = 'UpstreamTokenError'
  readonly code:
    | 'access_denied'
    | 'credential_expired_not_renewable'
    | 'sts_unavailable'
    | 'http_request_failed'
  /** True when the endpoint could not be reached, rather than said no. */
  readonly transport: boolean
  constructor(code: UpstreamTokenError['code'], message: string, transport = false) {
    super(message)
    this.code = code
    this.transport = transport
  }
}

export function configText(provider: ProviderDefinition, name: string): string | null {
  const value = provider.config[name]
  return typeof value === 'string' && value !== '' ? value : null
}

export function configList(provider: ProviderDefinition, name: string): readonly string[] {
  const value = provider.config[name]
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : []
}

export function misconfigured(problem: string): UpstreamTokenError {
  return new UpstreamTokenError('http_request_failed', `provider configuration: ${problem}`)
}
