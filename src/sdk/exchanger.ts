/**
 * Where mandates come from: an application's credentials, fixed or resolved for each
 * operation. Other credentials mean another OAuth client: tokens never cross identities.
 */
import { CredentialsUnavailableError } from './errors.ts'
import type { CaracalEvent } from './events.ts'
import type { ApprovalState } from './oauth/approvals.ts'
import { type ExchangeRequest, type FederationRequest, OAuthClient } from './oauth/client.ts'
import { fingerprint, type Mandate } from './oauth/token-cache.ts'

export interface Identity {
  readonly zoneId: string
  readonly applicationId: string
}

export interface Credentials extends Identity {
  readonly clientSecret: string
}

export type CredentialsResolver = () => Credentials | null | Promise<Credentials | null>

export interface Exchanger {
  identity(): Promise<Identity>
  /** A name for the credentials in use that does not reveal them. */
  fingerprint(): Promise<string>
  exchange(request: ExchangeRequest): Promise<Mandate>
  federate(idToken: string, request: FederationRequest): Promise<Mandate>
  pollApproval(
    approvalId: string,
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<ApprovalState>
}

export function createSecretExchanger(options: {
  readonly stsUrl: string
  readonly credentials: Credentials | CredentialsResolver
  readonly fetchImpl?: typeof fetch | undefined
  readonly onEvent: (event: CaracalEvent) => void
}): Exchanger {
  let current: { readonly name: string; readonly client: OAuthClient } | null = null

  async function open(): Promise<{ readonly name: string; readonly client: OAuthClient }> {
    const given = options.credentials
    const credentials = typeof given === 'function' ? await given() : given
    if (!credentials) throw new CredentialsUnavailableError()
    const { zoneId, applicationId, clientSecret } = credentials
    if (!zoneId || !applicationId || !clientSecret)
      throw new CredentialsUnavailableError('the credentials lack zoneId, applicationId or clientSecret')
    const name = fingerprint(zoneId, applicationId, clientSecret)
    if (current?.name !== name)
      current = {
        name,
        client: new OAuthClient({
          stsUrl: options.stsUrl,
          zoneId,
          applicationId,
          clientSecret,
          fetchImpl: options.fetchImpl,
          onEvent: options.onEvent,
        }),
      }
    return current
  }

  return {
    async identity() {
      const { client } = await open()
      return { zoneId: client.zoneId, applicationId: client.applicationId }
    },
    fingerprint: async () => (await open()).name,
    exchange: async (request) => (await open()).client.exchange(request),
    federate: async (idToken, request) => (await open()).client.federate(idToken, request),
    pollApproval: async (approvalId, wait) => (await open()).client.pollApproval(approvalId, wait),
  }
}
