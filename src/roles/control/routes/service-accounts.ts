/** Service accounts (control-api §12.3). */
import * as v from '../../../platform/schema.ts'
import { changeAccount, createAccount, removeAccount, setPassword } from '../manage-accounts.ts'
import { found } from '../not-found.ts'
import { type Call, can, created, noContent, ok, type Route, route } from '../route.ts'
import { findServiceAccount, listServiceAccounts } from '../store/service-accounts.ts'
import { type Base, listedZone, namedZone, zoneFor } from './iam-base.ts'
import { accountName, password, zoneAliases, zoneFilters } from './iam-shapes.ts'
import { pageEntries, text, trimmed } from './inputs.ts'
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
const accountQuery = v.object({
  ...pageEntries,
  status: v.optional(v.picklist(['active', 'inactive'])),
  ...zoneFilters,
})

export function accountRoutes(base: Base, prefix: string, suffix: string): Route[] {
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
        const zone = await listedZone(control, base, call)
        const { status } = call.query
        return ok(await listServiceAccounts(control.db, zone, { status }, call.query))
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
          await createAccount(control, call, zoneOf(call), {
            ...call.body,
            zone_id: await namedZone(control, base, call.body, 'invalid_body'),
          }),
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
