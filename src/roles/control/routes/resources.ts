/** Resources (control-api §7.9). */
import type { ErrorCode } from '../../../platform/http/errors/registry.ts'
import * as v from '../../../platform/schema.ts'
import { reading } from '../control.ts'
import { changeResource, createResource, removeResource, visibleResource } from '../create-resource.ts'
import { testResource } from '../probe-resource.ts'
import { isUpstreamUrl } from '../resource-rules.ts'
import { can, created, noContent, ok, route } from '../route.ts'
import { listResources } from '../store/resources.ts'
import { statusPageQuery, text } from './inputs.ts'
import { attribution, named, pageOf, timestamp } from './shapes.ts'

const operation = v.object({ method: text(1, 16), path: text(1, 512), scope: text(1, 200) })
const enforcement = v.picklist(['enforced', 'transport_uniform'])

const resource = named(
  'Resource',
  v.object({
    id: v.string(),
    zone_id: v.string(),
    name: v.string(),
    identifier: v.string(),
    upstream_url: v.nullable(v.string()),
    scopes: v.array(v.string()),
    credential_provider_id: v.string(),
    operations: v.array(operation),
    operation_enforcement: enforcement,
    ...attribution,
    archived_at: v.nullable(timestamp),
  }),
)

const check = named(
  'ResourceCheck',
  v.object({
    status: v.picklist(['guarded', 'unverified', 'unreachable', 'endpoint_error']),
    detail: v.string(),
    checked_at: timestamp,
  }),
)

const upstreamUrl = v.nullable(
  v.pipe(text(1, 2048), v.check(isUpstreamUrl, 'must be an http or https URL the gateway can call')),
)

const optional = {
  name: v.optional(text(1, 200)),
  identifier: v.optional(text(1, 512)),
  upstream_url: v.optional(upstreamUrl),
  credential_provider_id: v.optional(v.nullable(text(1, 128))),
  operations: v.optional(v.pipe(v.array(operation), v.maxLength(256))),
  operation_enforcement: v.optional(enforcement),
  check: v.optional(v.boolean()),
}
const scopes = v.pipe(v.array(text(1, 200)), v.minLength(1), v.maxLength(64))

const path = '/v1/zones/{zoneId}/resources'
const tag = 'Resources'
const writeErrors: readonly ErrorCode[] = [
  'invalid_resource',
  'invalid_resource_identifier',
  'reserved_namespace',
  'protected_resource',
  'provider_not_found',
  'credential_provider_required',
  'upstream_url_required',
  'operation_method_and_path_required',
  'operation_path_must_be_absolute',
  'operation_scope_not_in_resource_scopes',
  'operation_duplicate',
  'resource_identifier_conflict',
]

export const resourceRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listResources',
    tag,
    summary: 'List resources',
    access: 'read',
    permission: can('core', 'resources', 'list'),
    priority: 'P0',
    query: statusPageQuery,
    responses: { 200: pageOf('Resource', resource) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) => {
      const hidden = call.principal.seesEverything ? null : control.settings.CONTROL_AUDIENCE
      return ok(
        await reading(control, call, (db) =>
          listResources(db, call.zoneId, call.query.status, hidden, call.query),
        ),
      )
    },
  }),
  route({
    method: 'POST',
    path,
    operationId: 'createResource',
    tag,
    summary: 'Create a resource',
    access: 'write',
    permission: can('core', 'resources', 'create'),
    priority: 'P0',
    needsLiveZone: true,
    body: v.object({ ...optional, scopes }),
    invalid: 'invalid_resource',
    responses: { 201: resource },
    errors: [
      ...writeErrors,
      'zone_not_found',
      'resource_quota_exceeded',
      'resource_check_failed',
      'resource_test_rate_limited',
    ],
    handle: async (control, call) => created(await createResource(control, call, call.body)),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}`,
    operationId: 'getResource',
    tag,
    summary: 'Read a resource',
    access: 'read',
    permission: can('core', 'resources', 'get'),
    priority: 'P0',
    responses: { 200: resource },
    errors: ['resource_not_found'],
    handle: async (control, call) => ok(await visibleResource(control, call)),
  }),
  route({
    method: 'PATCH',
    path: `${path}/{id}`,
    operationId: 'updateResource',
    tag,
    summary: 'Change a resource',
    access: 'write',
    permission: can('core', 'resources', 'update'),
    priority: 'P0',
    body: v.object({ ...optional, scopes: v.optional(scopes) }),
    invalid: 'invalid_resource',
    responses: { 200: resource },
    errors: [...writeErrors, 'no_fields', 'resource_not_found'],
    handle: async (control, call) => ok(await changeResource(control, call, call.body)),
  }),
  route({
    method: 'POST',
    path: `${path}/{id}/test`,
    operationId: 'testResource',
    tag,
    summary: 'Probe whether an upstream refuses a forged mandate',
    access: 'write',
    permission: can('core', 'resources', 'test'),
    priority: 'P1',
    responses: { 200: check },
    errors: [
      'resource_verification_unsupported',
      'resource_not_found',
      'resource_test_rate_limited',
      'service_unconfigured',
    ],
    handle: async (control, call) => ok(await testResource(control, call)),
  }),
  route({
    method: 'DELETE',
    path: `${path}/{id}`,
    operationId: 'archiveResource',
    tag,
    summary: 'Archive a resource',
    access: 'write',
    permission: can('core', 'resources', 'delete'),
    priority: 'P0',
    responses: { 204: null },
    errors: ['resource_not_found', 'protected_resource'],
    handle: async (control, call) => {
      await removeResource(control, call)
      return noContent
    },
  }),
]
