/** Talking to an endpoint of a provider as its configured OAuth client (gateway §25.2). */
import type { EgressGuard, GuardedResponse } from '../../platform/egress/guarded-fetch.ts'
import { clientAuthentication, configList, type OAuthClient } from '../../platform/oauth/client.ts'
import type { ProviderConfig } from './provider-config.ts'

/** The client that a checked configuration describes. */
export const clientOf = ({ public: config, secrets }: ProviderConfig): OAuthClient => ({ config, secrets })

/** Sends `form` to `endpoint` as `client`. Rejects with `EgressError`, and with `ClientMisconfigured`. */
export async function postAsClient(
  egress: EgressGuard,
  endpoint: string,
  client: OAuthClient,
  form: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<GuardedResponse> {
  const proof = await clientAuthentication(client)
  return egress.fetch(endpoint, {
    method: 'POST',
    headers: {
      ...proof.headers,
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ ...form, ...proof.form }).toString(),
    allowedHosts: configList(client, 'allowed_token_hosts'),
    signal,
  })
}

/** The OAuth error code of an answer, JSON or form; nothing else of it is trusted. */
export function oauthErrorOf(body: Buffer): string | null {
  const source = body.toString('utf8')
  let code: unknown
  try {
    code = (JSON.parse(source) as { error?: unknown } | null)?.error
  } catch {
    code = new URLSearchParams(source).get('error')
  }
  return typeof code === 'string' && /^[a-z_]{1,64}$/.test(code) ? code : null
}
