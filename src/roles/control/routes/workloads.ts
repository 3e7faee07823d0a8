/** Workloads for `caracal run` (control-api §7.6). */
import * as v from '../../../platform/schema.ts'
import { changeWorkload, createWorkload, removeWorkload, rotateWorkloadSecret } from '../change-workload.ts'
import { reading } from '../control.ts'
import { found } from '../not-found.ts'
import { revealWorkloadSecret } from '../reveal-secret.ts'
import { can, created, noContent, ok, route } from '../route.ts'
import { findWorkload, listWorkloads } from '../store/workloads.ts'
import { pageQuery, trimmed } from './inputs.ts'
import { attribution, named, pageOf } from './shapes.ts'

const onFailure = v.picklist(['warn', 'error'])
const base = {
  id: v.string(),
  zone_id: v.string(),
  name: v.string(),
  bindings: v.array(
    v.object({
      env: v.string(),
      resource: v.string(),
      scopes: v.optional(v.array(v.string())),
      optional: v.optional(v.boolean()),
      on_failure: v.optional(onFailure),
    }),
  ),
  ...attribution,
}
const workload = named('Workload', v.object(base))
const withSecret = named('WorkloadWithSecret', v.object({ ...base, secret: v.string() }))

const binding = v.strictObject({
  env: trimmed(1, 200),
  resource: trimmed(1, 500),
  scopes: v.optional(v.pipe(v.array(trimmed(1, 200)), v.maxLength(32)), []),
  optional: v.optional(v.boolean(), false),
  on_failure: v.optional(onFailure, 'error'),
})

const path = '/v1/zones/{zoneId}/workloads'
const tag = 'Workloads'

export const workloadRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listWorkloads',
    tag,
    summary: 'List workloads',
    access: 'read',
    permission: can('core', 'workloads', 'list'),
    priority: 'P0',
    query: pageQuery,
    responses: { 200: pageOf('Workload', workload) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) =>
      ok(await reading(control, call, (db) => listWorkloads(db, call.zoneId, call.query))),
  }),
  route({
    method: 'POST',
    path,
    operationId: 'createWorkload',
    tag,
    summary: 'Create a workload',
    access: 'write',
    permission: can('core', 'workloads', 'create'),
    priority: 'P0',
    needsLiveZone: true,
    body: v.strictObject({ name: trimmed(1, 200) }),
    invalid: 'invalid_workload',
    responses: { 201: withSecret },
    errors: ['invalid_workload', 'zone_not_found', 'workload_name_taken', 'secret_backend_unavailable'],
    handle: async (control, call) => created(await createWorkload(control, call, call.body.name)),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}`,
    operationId: 'getWorkload',
    tag,
    summary: 'Read a workload',
    access: 'read',
    permission: can('core', 'workloads', 'get'),
    priority: 'P0',
    responses: { 200: workload },
    errors: ['workload_not_found'],
    handle: async (control, call) =>
      ok(
        found(
          await reading(control, call, (db) => findWorkload(db, call.zoneId, call.id)),
          'workload_not_found',
        ),
      ),
  }),
  route({
    method: 'PUT',
    path: `${path}/{id}`,
    operationId: 'updateWorkload',
    tag,
    summary: 'Change a workload',
    access: 'write',
    permission: can('core', 'workloads', 'update'),
    priority: 'P0',
    body: v.strictObject({
      name: v.optional(trimmed(1, 200)),
      bindings: v.optional(v.pipe(v.array(binding), v.maxLength(64))),
    }),
    invalid: 'invalid_workload',
    responses: { 200: workload },
    errors: [
      'invalid_workload',
      'no_fields',
      'invalid_credential_env',
      'duplicate_credential_env',
      'workload_not_found',
      'workload_name_taken',
    ],
    handle: async (control, call) => ok(await changeWorkload(control, call, call.body)),
  }),
  route({
    method: 'POST',
    path: `${path}/{id}/rotate-secret`,
    operationId: 'rotateWorkloadSecret',
    tag,
    summary: 'Replace the secret of a workload',
    access: 'write',
    permission: can('core', 'workloads', 'rotate'),
    priority: 'P1',
    responses: { 200: withSecret },
    errors: ['workload_not_found', 'secret_backend_unavailable'],
    handle: async (control, call) => ok(await rotateWorkloadSecret(control, call)),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}/secret`,
    operationId: 'revealWorkloadSecret',
    tag,
    summary: 'Show the custody copy of the secret',
    access: 'write',
    permission: can('core', 'workloads/secret', 'reveal'),
    priority: 'P1',
    responses: { 200: named('WorkloadSecret', v.object({ secret: v.string() })) },
    errors: ['workload_not_found', 'workload_secret_not_stored', 'secret_backend_unavailable'],
    handle: async (control, call) => ok({ secret: await revealWorkloadSecret(control, call) }),
  }),
  route({
    method: 'DELETE',
    path: `${path}/{id}`,
    operationId: 'deleteWorkload',
    tag,
    summary: 'Delete a workload',
    access: 'write',
    permission: can('core', 'workloads', 'delete'),
    priority: 'P0',
    responses: { 204: null },
    errors: ['workload_not_found'],
    handle: async (control, call) => {
      await removeWorkload(control, call)
      return noContent
    },
  }),
]
