/** The one error of everything that fetches upstream tokens. */
import { ClientMisconfigured } from '../../../platform/oauth/client.ts'

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

export function misconfigured(problem: string): UpstreamTokenError {
  return new UpstreamTokenError('http_request_failed', `provider configuration: ${problem}`)
}

/** `thrown`, or what it means to a token where the provider's settings make no client. */
export function asTokenError(thrown: unknown): unknown {
  return thrown instanceof ClientMisconfigured ? misconfigured(thrown.message) : thrown
}
