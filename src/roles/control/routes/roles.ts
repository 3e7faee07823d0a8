/** Roles (control-api §12.5). */
import * as v from '../../../platform/schema.ts'
import type { Control } from '../control.ts'
import { changeRole, createRole, removeRole } from '../manage-roles.ts'
import { found } from '../not-found.ts'
import { type Call, can, created, noContent, ok, type Route, route } from '../route.ts'
import { findRole, listRoles } from '../store/roles.ts'
import { type Base, listedZone, namedZone, zoneFor } from './iam-base.ts'
import { ruleInputs, ruleShape, toRule, zoneAliases, zoneFilters } from './iam-shapes.ts'
import { pageEntries, text } from './inputs.ts'
import { named, pageOf, timestamp } from './shapes.ts'

const role = named(
  'Role',
  v.object({
    id: v.string(),
    zone_id: v.nullable(v.string()),
    name: v.string(),
    description: v.nullable(v.string()),
    rules: v.array(ruleShape),
    built_in: v.boolean(),
    created_by: v.string(),
    created_at: timestamp,
    updated_by: v.nullable(v.string()),
    updated_at: timestamp,
  }),
)
const roleBody = v.object({
  name: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.:_-]{0,62}$/)),
  description: v.optional(v.nullable(text(0, 500))),
  rules: ruleInputs,
  ...zoneAliases,
})

export function roleRoutes(base: Base, prefix: string, suffix: string): Route[] {
  const path = `${prefix}/roles`
  const tag = 'Roles'
  const zoneOf = (call: Call<unknown, unknown>) => zoneFor(base, call)
  const fieldsOf = async (control: Control, body: v.InferOutput<typeof roleBody>) => ({
    name: body.name,
    description: body.description ?? null,
    rules: body.rules.map(toRule),
    zone_id: await namedZone(control, base, body, 'invalid_body'),
  })
  return [
    route({
      method: 'GET',
      path,
      operationId: `listRoles${suffix}`,
      tag,
      summary: 'List roles',
      access: 'read',
      permission: can('iam', 'roles', 'list'),
      priority: 'P1',
      query: v.object({ ...pageEntries, ...zoneFilters }),
      responses: { 200: pageOf('Role', role) },
      errors: ['invalid_query', 'invalid_cursor'],
      handle: async (control, call) =>
        ok(await listRoles(control.db, await listedZone(control, base, call), call.query)),
    }),
    route({
      method: 'POST',
      path,
      operationId: `createRole${suffix}`,
      tag,
      summary: 'Create a role',
      access: 'write',
      permission: can('iam', 'roles', 'create'),
      priority: 'P1',
      needsLiveZone: base === 'zone',
      body: roleBody,
      invalid: 'invalid_role',
      responses: { 201: role },
      errors: ['invalid_role', 'zone_not_found', 'privilege_escalation', 'role_name_conflict'],
      handle: async (control, call) =>
        created(await createRole(control, call, zoneOf(call), await fieldsOf(control, call.body))),
    }),
    route({
      method: 'GET',
      path: `${path}/{id}`,
      operationId: `getRole${suffix}`,
      tag,
      summary: 'Read a role',
      access: 'read',
      permission: can('iam', 'roles', 'get'),
      priority: 'P1',
      responses: { 200: role },
      errors: ['role_not_found'],
      handle: async (control, call) =>
        ok(found(await findRole(control.db, zoneOf(call), call.id), 'role_not_found')),
    }),
    route({
      method: 'PUT',
      path: `${path}/{id}`,
      operationId: `updateRole${suffix}`,
      tag,
      summary: 'Replace a role',
      access: 'write',
      permission: can('iam', 'roles', 'update'),
      priority: 'P1',
      body: roleBody,
      invalid: 'invalid_role',
      responses: { 200: role },
      errors: [
        'invalid_role',
        'privilege_escalation',
        'role_not_found',
        'role_name_conflict',
        'role_built_in',
      ],
      handle: async (control, call) =>
        ok(await changeRole(control, call, zoneOf(call), await fieldsOf(control, call.body))),
    }),
    route({
      method: 'DELETE',
      path: `${path}/{id}`,
      operationId: `deleteRole${suffix}`,
      tag,
      summary: 'Delete a role nobody is bound to',
      access: 'write',
      permission: can('iam', 'roles', 'delete'),
      priority: 'P1',
      responses: { 204: null },
      errors: ['role_not_found', 'role_built_in', 'role_in_use'],
      handle: async (control, call) => {
        await removeRole(control, call, zoneOf(call))
        return noContent
      },
    }),
  ]
}
