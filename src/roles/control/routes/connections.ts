/** Provider connections: stored upstream accounts (control-api §7.8). */
import * as v from '../../../platform/schema.ts'
import {
  beginAuthorization,
  disconnect,
  finishAuthorization,
  SHARED_SUBJECT,
  storeConnection,
} from '../connect-provider.ts'
import { reading } from '../control.ts'
import { escaped } from '../html.ts'
import { can, created, ok, type Reply, route } from '../route.ts'
import { listConnections } from '../store/connections.ts'
import { identifier, instant, pageEntries, text } from './inputs.ts'
import { named, pageOf, timestamp } from './shapes.ts'

const base = {
  id: v.string(),
  zone_id: v.string(),
  subject_id: v.string(),
  provider_id: v.string(),
  status: v.picklist(['active', 'revoked', 'expired']),
  expires_at: v.nullable(timestamp),
  created_at: timestamp,
  updated_at: timestamp,
}
const connection = named('ProviderConnection', v.object(base))
const listed = named(
  'ListedProviderConnection',
  v.object({ ...base, refreshed_at: v.nullable(timestamp), renewable: v.boolean() }),
)
const subject = v.optional(text(1, 512), SHARED_SUBJECT)

const wantsPage = (accept: string): boolean =>
  accept.includes('text/html') && !accept.includes('application/json')

/** What a person sees who comes back from the provider (gateway §23.3). */
function page(status: number, title: string, ...sentences: readonly (string | undefined)[]): Reply {
  const told = sentences.filter((sentence) => sentence !== undefined && sentence !== '')
  return {
    status,
    body: `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title>
<body><h1>${escaped(title)}</h1>${told.map((one) => `<p>${escaped(one)}</p>`).join('')}</body></html>
`,
    contentType: 'text/html; charset=utf-8',
  }
}

const path = '/v1/zones/{zoneId}/provider-connections'
const tag = 'Provider connections'

export const connectionRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listProviderConnections',
    tag,
    summary: 'List provider connections',
    access: 'read',
    permission: can('core', 'provider-connections', 'list'),
    priority: 'P1',
    query: v.object({
      ...pageEntries,
      provider_id: v.optional(identifier),
      subject_id: v.optional(text(1, 512)),
      status: v.optional(v.picklist(['active', 'revoked', 'expired'])),
    }),
    responses: { 200: pageOf('ListedProviderConnection', listed) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) => {
      const { limit, cursor, ...filters } = call.query
      return ok(
        await reading(control, call, (db) => listConnections(db, call.zoneId, filters, { limit, cursor })),
      )
    },
  }),
  route({
    method: 'POST',
    path,
    operationId: 'createProviderConnection',
    tag,
    summary: 'Store the tokens of an upstream account',
    access: 'write',
    permission: can('core', 'provider-connections', 'create'),
    priority: 'P1',
    needsLiveZone: true,
    body: v.object({
      subject_id: subject,
      provider_id: identifier,
      access_token: text(1, 16_384),
      refresh_token: v.optional(text(1, 16_384)),
      expires_at: v.optional(instant),
    }),
    invalid: 'invalid_provider_connection',
    responses: { 201: connection },
    errors: [
      'invalid_provider_connection',
      'provider_connection_unsupported',
      'zone_not_found',
      'provider_not_found',
      'secret_backend_unavailable',
    ],
    handle: async (control, call) => created(await storeConnection(control, call, call.body)),
  }),
  route({
    method: 'POST',
    path: `${path}/oauth/authorize`,
    operationId: 'authorizeProviderConnection',
    tag,
    summary: 'Begin connecting an account through the consent page of the provider',
    access: 'write',
    permission: can('core', 'provider-connections', 'create'),
    priority: 'P1',
    needsLiveZone: true,
    body: v.object({ subject_id: subject, provider_id: identifier }),
    invalid: 'invalid_provider_oauth_authorize',
    responses: {
      200: named(
        'ProviderAuthorization',
        v.object({ authorization_url: v.string(), state: v.string(), expires_at: timestamp }),
      ),
    },
    errors: [
      'invalid_provider_oauth_authorize',
      'provider_connection_unsupported',
      'invalid_provider_config',
      'provider_authorization_endpoint_invalid',
      'zone_not_found',
      'provider_not_found',
    ],
    handle: async (control, call) => ok(await beginAuthorization(control, call, call.body)),
  }),
  route({
    method: 'GET',
    path: `${path}/oauth/callback`,
    operationId: 'finishProviderConnection',
    tag,
    summary: 'Where the provider sends the person back; the state is the credential',
    access: 'public',
    permission: null,
    priority: 'P1',
    query: v.object({
      state: text(32, 256),
      code: v.optional(text(1, 8192)),
      error: v.optional(text(1, 512)),
      error_description: v.optional(text(0, 4096)),
    }),
    invalid: 'invalid_oauth_callback',
    responses: { 201: connection },
    errors: [
      'invalid_oauth_callback',
      'oauth_state_expired',
      'oauth_state_invalid',
      'oauth_state_mismatch',
      'provider_oauth_denied',
      'authorization_code_required',
      'provider_connection_unsupported',
      'invalid_provider_config',
      'provider_token_endpoint_not_allowed',
      'provider_not_found',
      'secret_backend_unavailable',
      'provider_token_exchange_failed',
      'provider_token_response_invalid',
      'provider_token_type_unsupported',
    ],
    handle: async (control, call) => {
      const made = await finishAuthorization(control, call, call.query)
      if (!wantsPage(call.accept)) return created(made)
      return page(201, 'Connected', 'The account is connected. You can close this window.')
    },
    refused: (error, { accept, query, requestId }, control) => {
      if (!wantsPage(accept)) return null
      control.log.warn({ err: error, request_id: requestId }, 'connection_not_finished')
      const told = query.error_description
      return page(error.status, 'Not connected', error.message, typeof told === 'string' ? told : undefined)
    },
  }),
  route({
    method: 'POST',
    path: `${path}/revoke`,
    operationId: 'revokeProviderConnection',
    tag,
    summary: 'Revoke a connection here, then at the provider',
    access: 'write',
    permission: can('core', 'provider-connections', 'revoke'),
    priority: 'P1',
    body: v.object({ subject_id: subject, provider_id: identifier }),
    invalid: 'invalid_provider_connection_revoke',
    responses: {
      200: named(
        'RevokedProviderConnection',
        v.object({ ...base, upstream_revocation: v.picklist(['revoked', 'unsupported', 'failed']) }),
      ),
    },
    errors: ['invalid_provider_connection_revoke', 'provider_connection_not_found'],
    handle: async (control, call) => ok(await disconnect(control, call, call.body)),
  }),
]
