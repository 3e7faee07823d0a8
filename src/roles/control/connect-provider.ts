/**
 * Connecting upstream accounts (gateway §23): by hand, or through the provider's consent
 * page with PKCE and a state that is used once. Revoking is local first; what the
 * provider answers changes nothing about it.
 */

import { createHash, randomBytes } from 'node:crypto'
import { columnAad } from '../../platform/crypto/secret-store.ts'
import { EgressError, type GuardedResponse } from '../../platform/egress/guarded-fetch.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { parseJsonObject } from '../../platform/json.ts'
import { ClientMisconfigured, tokenParameters } from '../../platform/oauth/client.ts'
import { openProviderConfig } from './change-provider.ts'
import { type Control, reading, writing } from './control.ts'
import { found } from './not-found.ts'
import { clientOf, postAsClient } from './oauth-client.ts'
import type { ProviderConfig } from './provider-config.ts'
import type { Call } from './route.ts'
import {
  type Connection,
  revokeConnection,
  type SealedTokens,
  upsertConnection,
} from './store/connections.ts'
import { findProvider, type Provider } from './store/providers.ts'

type AnyCall = Call<unknown, unknown>

/** The account a whole zone shares. */
export const SHARED_SUBJECT = 'caracal:shared'

const STATE_MS = 600_000
const stateKey = (state: string) => `api:provider_oauth_state:${state}`

interface PendingState {
  readonly zone_id: string
  readonly subject_id: string
  readonly provider_id: string
  readonly code_verifier: string
}

function cipherOf(control: Control) {
  if (control.cipher === null) throw errorOf('secret_backend_unavailable')
  return control.cipher
}

function sealTokens(control: Control, access: string, refresh: string | null): SealedTokens {
  const cipher = cipherOf(control)
  return {
    access: cipher.seal(Buffer.from(access), columnAad.connectionAccessToken),
    refresh: refresh === null ? null : cipher.seal(Buffer.from(refresh), columnAad.connectionRefreshToken),
  }
}

/** Throws 404 `provider_not_found`; 400 `provider_connection_unsupported` for other kinds. */
async function connectable(control: Control, call: AnyCall, zoneId: string, id: string): Promise<Provider> {
  const provider = found(
    await reading(control, call, (db) => findProvider(db, zoneId, id)),
    'provider_not_found',
  )
  if (provider.kind !== 'oauth2_authorization_code') throw errorOf('provider_connection_unsupported')
  return provider
}

export async function storeConnection(
  control: Control,
  call: AnyCall,
  input: {
    readonly subject_id: string
    readonly provider_id: string
    readonly access_token: string
    readonly refresh_token?: string | undefined
    readonly expires_at?: string | undefined
  },
): Promise<Connection> {
  const provider = await connectable(control, call, call.zoneId, input.provider_id)
  const tokens = sealTokens(control, input.access_token, input.refresh_token ?? null)
  return writing(control, call, (tx) =>
    upsertConnection(tx, {
      id: uuidv7(),
      zoneId: call.zoneId,
      subjectId: input.subject_id,
      providerId: provider.id,
      tokens,
      expiresAt: input.expires_at ?? null,
    }),
  )
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

function authorizationUrl(
  config: Readonly<Record<string, unknown>>,
  state: string,
  verifier: string,
): string {
  let url: URL
  try {
    url = new URL(text(config.authorization_endpoint))
  } catch {
    throw errorOf('provider_authorization_endpoint_invalid')
  }
  if (url.protocol !== 'https:') throw errorOf('provider_authorization_endpoint_invalid')
  if (text(config.client_id) === '' || text(config.redirect_uri) === '')
    throw errorOf('invalid_provider_config')
  const fixed = {
    ...(config.authorization_params as Record<string, string> | undefined),
    response_type: 'code',
    client_id: text(config.client_id),
    redirect_uri: text(config.redirect_uri),
    state,
    ...(Array.isArray(config.scopes) ? { scope: config.scopes.join(' ') } : {}),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }
  for (const [name, value] of Object.entries(fixed)) url.searchParams.set(name, value)
  return url.toString()
}

/** Where to send the person. Throws 400, 404; 503 when the state cannot be kept. */
export async function beginAuthorization(
  control: Control,
  call: AnyCall,
  input: { readonly subject_id: string; readonly provider_id: string },
) {
  const provider = await connectable(control, call, call.zoneId, input.provider_id)
  const state = randomBytes(32).toString('base64url')
  const code_verifier = randomBytes(32).toString('base64url')
  const authorization_url = authorizationUrl(provider.config_json, state, code_verifier)
  const pending: PendingState = {
    zone_id: call.zoneId,
    subject_id: input.subject_id,
    provider_id: provider.id,
    code_verifier,
  }
  await control.ephemera.set(stateKey(state), JSON.stringify(pending), STATE_MS).catch((cause: unknown) => {
    throw errorOf('service_unavailable', { cause })
  })
  return { authorization_url, state, expires_at: new Date(Date.now() + STATE_MS).toISOString() }
}

function readState(text: string): PendingState {
  try {
    const value = JSON.parse(text) as Partial<PendingState>
    const { zone_id, subject_id, provider_id, code_verifier } = value
    if (zone_id && subject_id && provider_id && code_verifier) {
      return { zone_id, subject_id, provider_id, code_verifier }
    }
  } catch {
    // Told below: an unreadable state is an invalid one.
  }
  throw errorOf('oauth_state_invalid')
}

interface TokenAnswer {
  readonly access: string
  readonly refresh: string | null
  readonly expiresAt: Date | null
}

function tokenAnswer(body: Buffer, config: ProviderConfig): TokenAnswer {
  const answer = parseJsonObject(body.toString('utf8'))
  const access = text(answer?.access_token)
  if (answer === null || access === '') throw errorOf('provider_token_response_invalid')
  const type = text(answer.token_type)
  if (type !== '' && type.toLowerCase() !== 'bearer' && config.public.auth_scheme === undefined) {
    throw errorOf('provider_token_type_unsupported')
  }
  const seconds = Number(answer.expires_in)
  const expires = Number.isFinite(seconds) && seconds > 0 && seconds < 315_360_000
  return {
    access,
    refresh: text(answer.refresh_token) === '' ? null : text(answer.refresh_token),
    expiresAt: expires ? new Date(Date.now() + seconds * 1000) : null,
  }
}

async function exchangeCode(
  control: Control,
  config: ProviderConfig,
  code: string,
  verifier: string,
  signal: AbortSignal,
): Promise<TokenAnswer> {
  const client = clientOf(config)
  const endpoint = text(config.public.token_endpoint)
  let answer: GuardedResponse
  try {
    const form = {
      ...tokenParameters(client),
      grant_type: 'authorization_code',
      code,
      redirect_uri: text(config.public.redirect_uri),
      code_verifier: verifier,
    }
    answer = await postAsClient(control.egress, endpoint, client, form, signal)
  } catch (error) {
    if (error instanceof ClientMisconfigured) throw errorOf('invalid_provider_config', { cause: error })
    if (!(error instanceof EgressError)) throw error
    if (error.reason === 'host_refused') throw errorOf('provider_token_endpoint_not_allowed')
    throw errorOf('provider_token_exchange_failed', { cause: error })
  }
  if (answer.status !== 200) throw errorOf('provider_token_exchange_failed')
  return tokenAnswer(answer.body, config)
}

export interface CallbackQuery {
  readonly state: string
  readonly code?: string | undefined
  readonly error?: string | undefined
}

/** Finishes the consent round trip; the state is the only credential and is spent at once. */
export async function finishAuthorization(
  control: Control,
  call: AnyCall,
  query: CallbackQuery,
): Promise<Connection> {
  const kept = await control.ephemera.take(stateKey(query.state)).catch((cause: unknown) => {
    throw errorOf('service_unavailable', { cause })
  })
  if (kept === null) throw errorOf('oauth_state_expired')
  const state = readState(kept)
  if (state.zone_id !== call.zoneId) throw errorOf('oauth_state_mismatch')
  if (query.error !== undefined) throw errorOf('provider_oauth_denied')
  if (query.code === undefined) throw errorOf('authorization_code_required')
  const provider = await connectable(control, call, state.zone_id, state.provider_id)
  const config = await openProviderConfig(control, provider)
  if (text(config.public.token_endpoint) === '') throw errorOf('invalid_provider_config')
  const answer = await exchangeCode(control, config, query.code, state.code_verifier, call.signal)
  const tokens = sealTokens(control, answer.access, answer.refresh)
  return writing(control, call, (tx) =>
    upsertConnection(tx, {
      id: uuidv7(),
      zoneId: state.zone_id,
      subjectId: state.subject_id,
      providerId: provider.id,
      tokens,
      expiresAt: answer.expiresAt,
    }),
  )
}

/** RFC 7009, the refresh token first: ending it ends what came of it. Only 200 counts. */
async function revokeUpstream(
  control: Control,
  provider: Provider | null,
  tokens: SealedTokens,
  signal: AbortSignal,
): Promise<'revoked' | 'unsupported' | 'failed'> {
  const endpoint = text(provider?.config_json.revocation_endpoint)
  const sealed = tokens.refresh ?? tokens.access
  if (provider === null || endpoint === '' || sealed === null) return 'unsupported'
  try {
    const aad = tokens.refresh === null ? columnAad.connectionAccessToken : columnAad.connectionRefreshToken
    const form = {
      token: cipherOf(control).open(sealed, aad).toString('utf8'),
      token_type_hint: tokens.refresh === null ? 'access_token' : 'refresh_token',
    }
    const client = clientOf(await openProviderConfig(control, provider))
    const answer = await postAsClient(control.egress, endpoint, client, form, signal)
    return answer.status === 200 ? 'revoked' : 'failed'
  } catch (error) {
    control.log.warn({ err: error }, 'upstream_revocation_failed')
    return 'failed'
  }
}

/** Throws 404 `provider_connection_not_found`. */
export async function disconnect(
  control: Control,
  call: AnyCall,
  input: { readonly subject_id: string; readonly provider_id: string },
) {
  const revoked = found(
    await writing(control, call, (tx) =>
      revokeConnection(tx, call.zoneId, input.subject_id, input.provider_id),
    ),
    'provider_connection_not_found',
  )
  const provider = await reading(control, call, (db) => findProvider(db, call.zoneId, input.provider_id))
  const upstream_revocation = await revokeUpstream(control, provider, revoked.tokens, call.signal)
  return { ...revoked.connection, upstream_revocation }
}
