/** Trying the credential of an OAuth provider with one request to its token endpoint (gateway §22.3). Any token is dropped. */

import { EgressError } from '../../platform/egress/guarded-fetch.ts'
import { parseJsonObject } from '../../platform/json.ts'
import {
  ClientMisconfigured,
  type OAuthClient,
  serviceGrant,
  tokenParameters,
} from '../../platform/oauth/client.ts'
import { openProviderConfig } from './change-provider.ts'
import { type Control, reading } from './control.ts'
import { found, invalid } from './not-found.ts'
import { clientOf, oauthErrorOf, postAsClient } from './oauth-client.ts'
import { spendProbe } from './probe-budget.ts'
import { isOAuthKind, type ProviderConfig, type ProviderKind } from './provider-config.ts'
import type { Call } from './route.ts'
import { findProvider, recordProviderCheck } from './store/providers.ts'

export interface ProviderCheck {
  readonly status: 'ok' | 'auth_failed' | 'unreachable' | 'endpoint_error' | 'config_error'
  readonly detail: string
  readonly checked_at: string
}

type Verdict = Omit<ProviderCheck, 'checked_at'>

const clientErrors = new Set(['invalid_client', 'unauthorized_client', 'incorrect_client_credentials'])
const requestErrors = new Set(['invalid_scope', 'invalid_target'])
const codeErrors = new Set(['invalid_grant', 'bad_verification_code'])

function verdictOf(kind: ProviderKind, config: ProviderConfig, status: number, body: Buffer): Verdict {
  const code = oauthErrorOf(body)
  if (kind === 'oauth2_authorization_code' && code !== null && codeErrors.has(code)) {
    return { status: 'ok', detail: 'the endpoint knows the client and refused the placeholder code' }
  }
  if (kind === 'oauth2_client_credentials' && status === 200 && code === null) {
    const token = parseJsonObject(body.toString('utf8'))?.access_token
    if (typeof token === 'string' && token !== '') return { status: 'ok', detail: 'a token was issued' }
  }
  const grantRefused = config.public.grant_type === 'jwt_bearer' && code === 'invalid_grant'
  if (status === 401 || grantRefused || (code !== null && clientErrors.has(code))) {
    return {
      status: 'auth_failed',
      detail: `the endpoint refused the client${code === null ? '' : `: ${code}`}`,
    }
  }
  if (code !== null && requestErrors.has(code)) {
    return { status: 'config_error', detail: `the endpoint refused the request: ${code}` }
  }
  return {
    status: 'endpoint_error',
    detail: `the endpoint answered ${status}${code === null ? '' : `: ${code}`}`,
  }
}

/** A code that no endpoint gave out: what it says of it tells whether it knows the client. */
function placeholderGrant({ config }: OAuthClient): Record<string, string> {
  return {
    grant_type: 'authorization_code',
    code: 'caracal-connection-test',
    redirect_uri: String(config.redirect_uri ?? ''),
    code_verifier: 'caracal-connection-test-verifier-0000000000000',
  }
}

async function probe(
  control: Control,
  kind: ProviderKind,
  config: ProviderConfig,
  signal: AbortSignal,
): Promise<Verdict> {
  const client = clientOf(config)
  try {
    const grant = kind === 'oauth2_authorization_code' ? placeholderGrant(client) : await serviceGrant(client)
    const form = { ...tokenParameters(client), ...grant }
    const endpoint = String(client.config.token_endpoint)
    const answer = await postAsClient(control.egress, endpoint, client, form, signal)
    return verdictOf(kind, config, answer.status, answer.body)
  } catch (error) {
    if (error instanceof ClientMisconfigured) return { status: 'config_error', detail: error.message }
    if (!(error instanceof EgressError)) throw error
    return { status: 'unreachable', detail: 'the token endpoint cannot be reached' }
  }
}

/** Throws 400 `provider_check_unsupported` for other kinds, 429 over the budget. */
export async function checkProviderConnectivity(
  control: Control,
  zoneId: string,
  kind: ProviderKind,
  config: ProviderConfig,
  signal: AbortSignal,
): Promise<ProviderCheck> {
  if (!isOAuthKind(kind)) throw invalid('provider_check_unsupported', 'only OAuth providers can be checked')
  await spendProbe(control, 'providertest', zoneId)
  const verdict = await probe(control, kind, config, signal)
  return { ...verdict, checked_at: new Date().toISOString() }
}

/** Checks a stored provider and remembers the outcome. Throws 404, 400, 429, 502. */
export async function testProvider(control: Control, call: Call<unknown, unknown>): Promise<ProviderCheck> {
  const provider = found(
    await reading(control, call, (db) => findProvider(db, call.zoneId, call.id)),
    'provider_not_found',
  )
  if (!isOAuthKind(provider.kind)) {
    throw invalid('provider_check_unsupported', 'only OAuth providers can be checked')
  }
  const config = await openProviderConfig(control, provider)
  const check = await checkProviderConnectivity(control, call.zoneId, provider.kind, config, call.signal)
  await recordProviderCheck(control.db, call.zoneId, call.id, check.status === 'ok')
  return check
}
