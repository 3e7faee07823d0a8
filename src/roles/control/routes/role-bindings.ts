/** Role bindings (control-api §12.5): made and removed, never changed. */
import * as v from '../../../platform/schema.ts'
import { bindRole, unbindRole } from '../manage-roles.ts'
import { found } from '../not-found.ts'
import { type Call, can, created, noContent, ok, type Route, route } from '../route.ts'
import { findRoleBinding, listRoleBindings, type RoleBinding } from '../store/roles.ts'
import { type Base, listedZone, namedZone, zoneFor } from './iam-base.ts'
import { zoneAliases, zoneFilters } from './iam-shapes.ts'
import { identifier, pageEntries, text } from './inputs.ts'
import { named, pageOf, timestamp } from './shapes.ts'

const binding = named(
  'RoleBinding',
  v.object({
    id: v.string(),
    role_id: v.string(),
    role_name: v.string(),
    subject: v.object({
      kind: v.picklist(['service_account', 'account']),
      id: v.string(),
      name: v.nullable(v.string()),
    }),
    zone_id: v.nullable(v.string()),
    created_by: v.string(),
    created_at: timestamp,
  }),
)
function shownBinding(row: RoleBinding) {
  const { subject_kind, subject_id, subject_name, role_built_in: _, ...rest } = row
  return { ...rest, subject: { kind: subject_kind, id: subject_id, name: subject_name } }
}

const bindingBody = v.object({
  role_id: v.optional(identifier),
  role_name: v.optional(text(1, 64)),
  subject: v.optional(
    v.object({
      kind: v.picklist(['service_account', 'account']),
      id: v.optional(identifier),
      name: v.optional(text(1, 254)),
    }),
  ),
  principal_type: v.optional(v.picklist(['service_account', 'ServiceAccount'])),
  principal_name: v.optional(text(1, 64)),
  ...zoneAliases,
})

export function bindingRoutes(base: Base, prefix: string, suffix: string): Route[] {
  const path = `${prefix}/role-bindings`
  const tag = 'Role bindings'
  const zoneOf = (call: Call<unknown, unknown>) => zoneFor(base, call)
  return [
    route({
      method: 'GET',
      path,
      operationId: `listRoleBindings${suffix}`,
      tag,
      summary: 'List role bindings',
      access: 'read',
      permission: can('iam', 'role-bindings', 'list'),
      priority: 'P1',
      query: v.object({
        ...pageEntries,
        subject_kind: v.optional(v.picklist(['service_account', 'account'])),
        subject_id: v.optional(identifier),
        role_id: v.optional(identifier),
        ...zoneFilters,
      }),
      responses: { 200: pageOf('RoleBinding', binding) },
      errors: ['invalid_query', 'invalid_cursor'],
      handle: async (control, call) => {
        const zone = await listedZone(control, base, call)
        const { subject_kind, subject_id, role_id } = call.query
        const filters = { subject_kind, subject_id, role_id }
        const page = await listRoleBindings(control.db, zone, filters, call.query)
        return ok({ ...page, items: page.items.map(shownBinding) })
      },
    }),
    route({
      method: 'POST',
      path,
      operationId: `createRoleBinding${suffix}`,
      tag,
      summary: 'Bind a role to an account',
      access: 'write',
      permission: can('iam', 'role-bindings', 'create'),
      priority: 'P1',
      needsLiveZone: base === 'zone',
      body: bindingBody,
      invalid: 'invalid_role_binding',
      responses: { 201: binding },
      errors: [
        'invalid_role_binding',
        'privilege_escalation',
        'role_not_found',
        'principal_not_found',
        'zone_not_found',
        'role_binding_exists',
      ],
      handle: async (control, call) => {
        const { role_id, role_name, subject, principal_name } = call.body
        const row = await bindRole(control, call, zoneOf(call), {
          role_id,
          role_name,
          subject_kind: subject?.kind,
          subject_id: subject?.id,
          subject_name: subject?.name ?? principal_name,
          zone_id: await namedZone(control, base, call.body, 'invalid_body'),
        })
        return created(shownBinding(row))
      },
    }),
    route({
      method: 'GET',
      path: `${path}/{id}`,
      operationId: `getRoleBinding${suffix}`,
      tag,
      summary: 'Read a role binding',
      access: 'read',
      permission: can('iam', 'role-bindings', 'get'),
      priority: 'P1',
      responses: { 200: binding },
      errors: ['role_binding_not_found'],
      handle: async (control, call) =>
        ok(
          shownBinding(
            found(await findRoleBinding(control.db, zoneOf(call), call.id), 'role_binding_not_found'),
          ),
        ),
    }),
    route({
      method: 'DELETE',
      path: `${path}/{id}`,
      operationId: `deleteRoleBinding${suffix}`,
      tag,
      summary: 'Remove a role binding',
      access: 'write',
      permission: can('iam', 'role-bindings', 'delete'),
      priority: 'P1',
      responses: { 204: null },
      errors: ['role_binding_not_found', 'last_platform_admin'],
      handle: async (control, call) => {
        await unbindRole(control, call, zoneOf(call))
        return noContent
      },
    }),
  ]
}
