/**
 * Service accounts, roles, bindings and API keys (control-api §12.2 to §12.5). The same
 * collections exist deployment-wide and under a zone; there the zone is the path's.
 */
import * as v from 'valibot'
import type { Control } from '../control.ts'
import { changeAccount, createAccount, removeAccount, setPassword } from '../manage-accounts.ts'
import { createKey, revokeKey, rotateKey } from '../manage-keys.ts'
import { bindRole, changeRole, createRole, removeRole, unbindRole } from '../manage-roles.ts'
import { found } from '../not-found.ts'
import { type Call, can, created, noContent, ok, type Route, route } from '../route.ts'
import { listApiKeys } from '../store/api-keys.ts'
import { findRole, findRoleBinding, listRoleBindings, listRoles, type RoleBinding } from '../store/roles.ts'
import { findServiceAccount, type IamZone, listServiceAccounts } from '../store/service-accounts.ts'
import { accountName, namedZone, password, ruleInputs, ruleShape, toRule, zoneAliases } from './iam-shapes.ts'
import { identifier, instant, pageEntries, text, trimmed } from './inputs.ts'
import { named, pageOf, timestamp } from './shapes.ts'

const account = named(
  'ServiceAccount',
  v.object({
    id: v.string(),
    zone_id: v.nullable(v.string()),
    username: v.string(),
    display_name: v.nullable(v.string()),
    status: v.picklist(['active', 'inactive']),
    last_login_at: v.nullable(timestamp),
    password_changed_at: timestamp,
    created_by: v.string(),
    created_at: timestamp,
    updated_by: v.nullable(v.string()),
    updated_at: timestamp,
  }),
)
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
const keyBase = {
  id: v.string(),
  name: v.string(),
  prefix: v.string(),
  zone_id: v.nullable(v.string()),
  service_account_id: v.string(),
  rules: v.nullable(v.array(ruleShape)),
  expires_at: v.nullable(timestamp),
  last_used_at: v.nullable(timestamp),
  revoked_at: v.nullable(timestamp),
  previous_valid_until: v.nullable(timestamp),
  created_by: v.string(),
  created_at: timestamp,
}
const apiKey = named('ApiKey', v.object(keyBase))
const apiKeyWithSecret = named('ApiKeyWithSecret', v.object({ ...keyBase, key: v.string() }))

function shownBinding(row: RoleBinding) {
  const { subject_kind, subject_id, subject_name, role_built_in: _, ...rest } = row
  return { ...rest, subject: { kind: subject_kind, id: subject_id, name: subject_name } }
}

const roleBody = v.object({
  name: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.:_-]{0,62}$/)),
  description: v.optional(v.nullable(text(0, 500))),
  rules: ruleInputs,
  ...zoneAliases,
})

const bindingBody = v.object({
  role_id: v.optional(identifier),
  role_name: v.optional(text(1, 64)),
  subject: v.optional(
    v.object({
      kind: v.literal('service_account'),
      id: v.optional(identifier),
      name: v.optional(text(1, 64)),
    }),
  ),
  principal_type: v.optional(v.picklist(['service_account', 'ServiceAccount'])),
  principal_name: v.optional(text(1, 64)),
  ...zoneAliases,
})

type Base = 'deployment' | 'zone'

const accountQuery = v.object({
  ...pageEntries,
  status: v.optional(v.picklist(['active', 'inactive'])),
  zone_id: v.optional(identifier),
})

/** The zone a base confines its rows to; deployment-wide lists may narrow by query. */
const zoneFor = (base: Base, call: Call<unknown, unknown>, wanted?: string | undefined): IamZone =>
  base === 'zone' ? call.zoneId : wanted

function accountRoutes(base: Base, prefix: string, suffix: string): Route[] {
  const path = `${prefix}/service-accounts`
  const tag = 'Service accounts'
  const zoneOf = (call: Call<unknown, unknown>) => zoneFor(base, call)
  return [
    route({
      method: 'GET',
      path,
      operationId: `listServiceAccounts${suffix}`,
      tag,
      summary: 'List service accounts',
      access: 'read',
      permission: can('iam', 'service-accounts', 'list'),
      priority: 'P1',
      query: accountQuery,
      responses: { 200: pageOf('ServiceAccount', account) },
      errors: ['invalid_query', 'invalid_cursor'],
      handle: async (control, call) => {
        const { limit, cursor, zone_id, ...filters } = call.query
        return ok(
          await listServiceAccounts(control.db, zoneFor(base, call, zone_id), filters, { limit, cursor }),
        )
      },
    }),
    route({
      method: 'POST',
      path,
      operationId: `createServiceAccount${suffix}`,
      tag,
      summary: 'Create a service account',
      access: 'write',
      permission: can('iam', 'service-accounts', 'create'),
      priority: 'P1',
      needsLiveZone: base === 'zone',
      body: v.strictObject({
        username: accountName,
        password,
        display_name: v.optional(trimmed(1, 200)),
        status: v.optional(v.picklist(['active', 'inactive']), 'active'),
        ...zoneAliases,
      }),
      invalid: 'invalid_service_account',
      responses: { 201: account },
      errors: ['invalid_service_account', 'zone_not_found', 'username_taken'],
      handle: async (control, call) =>
        created(
          await createAccount(control, call, zoneOf(call), { ...call.body, zone_id: namedZone(call.body) }),
        ),
    }),
    route({
      method: 'GET',
      path: `${path}/{id}`,
      operationId: `getServiceAccount${suffix}`,
      tag,
      summary: 'Read a service account',
      access: 'read',
      permission: can('iam', 'service-accounts', 'get'),
      priority: 'P1',
      responses: { 200: account },
      errors: ['service_account_not_found'],
      handle: async (control, call) =>
        ok(found(await findServiceAccount(control.db, zoneOf(call), call.id), 'service_account_not_found')),
    }),
    route({
      method: 'PATCH',
      path: `${path}/{id}`,
      operationId: `updateServiceAccount${suffix}`,
      tag,
      summary: 'Rename a service account, or turn it on or off',
      access: 'write',
      permission: can('iam', 'service-accounts', 'update'),
      priority: 'P1',
      body: v.strictObject({
        display_name: v.optional(trimmed(1, 200)),
        status: v.optional(v.picklist(['active', 'inactive'])),
      }),
      invalid: 'invalid_service_account',
      responses: { 200: account },
      errors: ['invalid_service_account', 'no_fields', 'service_account_not_found', 'last_platform_admin'],
      handle: async (control, call) => ok(await changeAccount(control, call, zoneOf(call), call.body)),
    }),
    route({
      method: 'DELETE',
      path: `${path}/{id}`,
      operationId: `deleteServiceAccount${suffix}`,
      tag,
      summary: 'Delete a service account with its bindings and keys',
      access: 'write',
      permission: can('iam', 'service-accounts', 'delete'),
      priority: 'P1',
      responses: { 204: null },
      errors: ['service_account_not_found', 'last_platform_admin'],
      handle: async (control, call) => {
        await removeAccount(control, call, zoneOf(call))
        return noContent
      },
    }),
    route({
      method: 'POST',
      path: `${path}/{id}/password`,
      operationId: `setPassword${suffix}`,
      tag,
      summary: 'Set the password; ends every token of the account',
      access: 'write',
      permission: can('iam', 'service-accounts', 'rotate'),
      priority: 'P1',
      body: v.strictObject({ current_password: v.optional(text(1, 256)), new_password: password }),
      invalid: 'invalid_service_account',
      responses: { 204: null },
      errors: [
        'invalid_service_account',
        'current_password_invalid',
        'privilege_escalation',
        'service_account_not_found',
      ],
      handle: async (control, call) => {
        await setPassword(control, call, zoneOf(call), call.body)
        return noContent
      },
    }),
  ]
}

function roleRoutes(base: Base, prefix: string, suffix: string): Route[] {
  const path = `${prefix}/roles`
  const tag = 'Roles'
  const zoneOf = (call: Call<unknown, unknown>) => zoneFor(base, call)
  const fieldsOf = (body: v.InferOutput<typeof roleBody>) => ({
    name: body.name,
    description: body.description ?? null,
    rules: body.rules.map(toRule),
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
      query: v.object({ ...pageEntries, zone_id: v.optional(identifier) }),
      responses: { 200: pageOf('Role', role) },
      errors: ['invalid_query', 'invalid_cursor'],
      handle: async (control, call) => {
        const { limit, cursor, zone_id } = call.query
        return ok(await listRoles(control.db, zoneFor(base, call, zone_id), { limit, cursor }))
      },
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
        created(
          await createRole(control, call, zoneOf(call), {
            ...fieldsOf(call.body),
            zone_id: namedZone(call.body),
          }),
        ),
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
      handle: async (control, call) => ok(await changeRole(control, call, zoneOf(call), fieldsOf(call.body))),
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

function bindingRoutes(base: Base, prefix: string, suffix: string): Route[] {
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
        zone_id: v.optional(identifier),
      }),
      responses: { 200: pageOf('RoleBinding', binding) },
      errors: ['invalid_query', 'invalid_cursor'],
      handle: async (control, call) => {
        const { limit, cursor, zone_id, ...filters } = call.query
        const zone = zoneFor(base, call, zone_id)
        const page = await listRoleBindings(control.db, zone, filters, { limit, cursor })
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
          subject_id: subject?.id,
          subject_name: subject?.name ?? principal_name,
          zone_id: namedZone(call.body),
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

function keyRoutes(base: Base, prefix: string, suffix: string): Route[] {
  const path = `${prefix}/api-keys`
  const tag = 'API keys'
  const zoneOf = (call: Call<unknown, unknown>) => zoneFor(base, call)
  return [
    route({
      method: 'GET',
      path,
      operationId: `listApiKeys${suffix}`,
      tag,
      summary: 'List API keys',
      access: 'read',
      permission: can('iam', 'api-keys', 'list'),
      priority: 'P1',
      query: v.object({
        ...pageEntries,
        service_account_id: v.optional(identifier),
        zone_id: v.optional(identifier),
      }),
      responses: { 200: pageOf('ApiKey', apiKey) },
      errors: ['invalid_query', 'invalid_cursor'],
      handle: async (control, call) => {
        const { limit, cursor, zone_id, ...filters } = call.query
        return ok(await listApiKeys(control.db, zoneFor(base, call, zone_id), filters, { limit, cursor }))
      },
    }),
    route({
      method: 'POST',
      path,
      operationId: `createApiKey${suffix}`,
      tag,
      summary: 'Create an API key; it is shown once',
      access: 'write',
      permission: can('iam', 'api-keys', 'create'),
      priority: 'P1',
      needsLiveZone: base === 'zone',
      body: v.strictObject({
        name: trimmed(1, 120),
        service_account_id: v.optional(identifier),
        expires_at: v.optional(instant),
        rules: v.optional(ruleInputs),
        ...zoneAliases,
      }),
      invalid: 'invalid_api_key_request',
      responses: { 201: apiKeyWithSecret },
      errors: [
        'invalid_api_key_request',
        'privilege_escalation',
        'service_account_not_found',
        'zone_not_found',
      ],
      handle: async (control, call) => {
        const { name, service_account_id, expires_at, rules } = call.body
        const zone_id = namedZone(call.body)
        const input = { name, service_account_id, expires_at, zone_id, rules: rules?.map(toRule) }
        return created(await createKey(control, call, zoneOf(call), input))
      },
    }),
    route({
      method: 'POST',
      path: `${path}/{id}/rotate`,
      operationId: `rotateApiKey${suffix}`,
      tag,
      summary: 'Replace the secret of an API key',
      access: 'write',
      permission: can('iam', 'api-keys', 'rotate'),
      priority: 'P1',
      body: v.object({
        grace_seconds: v.optional(
          v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(604_800)),
          86_400,
        ),
      }),
      bodyOptional: true,
      invalid: 'invalid_api_key_request',
      responses: { 200: apiKeyWithSecret },
      errors: ['invalid_api_key_request', 'privilege_escalation', 'api_key_not_found'],
      handle: async (control, call) =>
        ok(await rotateKey(control, call, zoneOf(call), call.body.grace_seconds)),
    }),
    route({
      method: 'DELETE',
      path: `${path}/{id}`,
      operationId: `revokeApiKey${suffix}`,
      tag,
      summary: 'Revoke an API key',
      access: 'write',
      permission: can('iam', 'api-keys', 'delete'),
      priority: 'P1',
      responses: { 204: null },
      errors: ['api_key_not_found'],
      handle: async (control: Control, call) => {
        await revokeKey(control, call, zoneOf(call))
        return noContent
      },
    }),
  ]
}

const collections = (base: Base, prefix: string, suffix: string): Route[] => [
  ...accountRoutes(base, prefix, suffix),
  ...roleRoutes(base, prefix, suffix),
  ...bindingRoutes(base, prefix, suffix),
  ...keyRoutes(base, prefix, suffix),
]

export const iamRoutes: readonly Route[] = [
  ...collections('deployment', '/v1', ''),
  ...collections('zone', '/v1/zones/{zoneId}', 'OfZone'),
]
