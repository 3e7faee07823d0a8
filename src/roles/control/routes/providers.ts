/** Providers: which credential an upstream gets (control-api §7.7). */
import type { ErrorCode } from '../../../platform/http/errors/registry.ts'
import * as v from '../../../platform/schema.ts'
import { changeProvider, removeProvider } from '../change-provider.ts'
import { testProvider } from '../check-provider.ts'
import { reading } from '../control.ts'
import { createProvider } from '../create-provider.ts'
import { discoverIssuer } from '../discover-issuer.ts'
import { found } from '../not-found.ts'
import { providerKinds } from '../provider-config.ts'
import { can, created, noContent, ok, route } from '../route.ts'
import { findProvider, listProviders } from '../store/providers.ts'
import { anyObject, statusPageQuery, text, trimmed } from './inputs.ts'
import { anyJson, attribution, named, pageOf, timestamp } from './shapes.ts'

const provider = named(
  'Provider',
  v.object({
    id: v.string(),
    zone_id: v.string(),
    name: v.string(),
    identifier: v.string(),
    kind: v.picklist(providerKinds),
    config_json: anyJson,
    secret_config_keys: v.array(v.string()),
    connectivity_failed_at: v.nullable(timestamp),
    ...attribution,
    archived_at: v.nullable(timestamp),
  }),
)

const check = named(
  'ProviderCheck',
  v.object({
    status: v.picklist(['ok', 'auth_failed', 'unreachable', 'endpoint_error', 'config_error']),
    detail: v.string(),
    checked_at: timestamp,
  }),
)

const fields = {
  name: v.optional(text(0, 200)),
  identifier: v.optional(text(0, 200)),
  config_json: v.optional(anyObject),
}
const path = '/v1/zones/{zoneId}/providers'
const tag = 'Providers'
const configErrors: readonly ErrorCode[] = [
  'invalid_provider',
  'invalid_provider_identifier',
  'invalid_provider_config',
  'reserved_namespace',
  'provider_identifier_conflict',
  'secret_backend_unavailable',
]

export const providerRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listProviders',
    tag,
    summary: 'List providers',
    access: 'read',
    permission: can('core', 'providers', 'list'),
    priority: 'P0',
    query: statusPageQuery,
    responses: { 200: pageOf('Provider', provider) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) =>
      ok(await reading(control, call, (db) => listProviders(db, call.zoneId, call.query.status, call.query))),
  }),
  route({
    method: 'POST',
    path,
    operationId: 'createProvider',
    tag,
    summary: 'Create a provider',
    access: 'write',
    permission: can('core', 'providers', 'create'),
    priority: 'P0',
    needsLiveZone: true,
    body: v.object({ ...fields, kind: v.picklist(providerKinds), check: v.optional(v.boolean()) }),
    invalid: 'invalid_provider',
    responses: { 201: provider },
    errors: [
      ...configErrors,
      'zone_not_found',
      'provider_check_unsupported',
      'provider_check_failed',
      'provider_test_rate_limited',
    ],
    handle: async (control, call) => created(await createProvider(control, call, call.body)),
  }),
  route({
    method: 'POST',
    path: `${path}/discovery`,
    operationId: 'discoverIssuer',
    tag,
    summary: 'Read the endpoints an OAuth issuer publishes',
    access: 'write',
    permission: can('core', 'providers', 'test'),
    priority: 'P1',
    needsLiveZone: true,
    body: v.object({ issuer: trimmed(1, 512) }),
    invalid: 'invalid_issuer',
    responses: {
      200: named(
        'IssuerDiscovery',
        v.object({
          issuer: v.string(),
          token_endpoint: v.string(),
          authorization_endpoint: v.optional(v.string()),
          revocation_endpoint: v.optional(v.string()),
          scopes_supported: v.optional(v.array(v.string())),
          token_endpoint_auth_methods_supported: v.optional(v.array(v.string())),
        }),
      ),
    },
    errors: [
      'invalid_issuer',
      'zone_not_found',
      'provider_discovery_failed',
      'provider_discovery_rate_limited',
    ],
    handle: async (control, call) =>
      ok(await discoverIssuer(control, call.zoneId, call.body.issuer, call.signal)),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}`,
    operationId: 'getProvider',
    tag,
    summary: 'Read a provider',
    access: 'read',
    permission: can('core', 'providers', 'get'),
    priority: 'P0',
    responses: { 200: provider },
    errors: ['provider_not_found'],
    handle: async (control, call) =>
      ok(
        found(
          await reading(control, call, (db) => findProvider(db, call.zoneId, call.id)),
          'provider_not_found',
        ),
      ),
  }),
  route({
    method: 'PATCH',
    path: `${path}/{id}`,
    operationId: 'updateProvider',
    tag,
    summary: 'Change a provider',
    access: 'write',
    permission: can('core', 'providers', 'update'),
    priority: 'P0',
    body: v.object({
      ...fields,
      kind: v.optional(v.picklist(providerKinds)),
      secret_merge: v.optional(v.boolean()),
    }),
    invalid: 'invalid_provider',
    responses: { 200: provider },
    errors: [...configErrors, 'provider_config_required', 'no_fields', 'provider_not_found'],
    handle: async (control, call) => ok(await changeProvider(control, call, call.body)),
  }),
  route({
    method: 'POST',
    path: `${path}/{id}/test`,
    operationId: 'testProvider',
    tag,
    summary: 'Try the credential of an OAuth provider',
    access: 'write',
    permission: can('core', 'providers', 'test'),
    priority: 'P1',
    responses: { 200: check },
    errors: [
      'provider_check_unsupported',
      'provider_not_found',
      'provider_test_rate_limited',
      'secret_backend_unavailable',
    ],
    handle: async (control, call) => ok(await testProvider(control, call)),
  }),
  route({
    method: 'DELETE',
    path: `${path}/{id}`,
    operationId: 'archiveProvider',
    tag,
    summary: 'Archive a provider',
    access: 'write',
    permission: can('core', 'providers', 'delete'),
    priority: 'P0',
    responses: { 204: null },
    errors: ['provider_not_found'],
    // A warning that needs no body: who deletes expects none (gateway §30, no. 20).
    handle: async (control, call) => ({
      ...noContent,
      headers: { 'x-caracal-bound-resources': String(await removeProvider(control, call)) },
    }),
  }),
]
