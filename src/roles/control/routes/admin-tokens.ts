/** Administrator tokens (control-api §7.1): managed by global tokens only, shown once. */
import type { ErrorCode } from '../../../platform/http/errors/registry.ts'
import * as v from '../../../platform/schema.ts'
import { reading } from '../control.ts'
import { mintAdminToken, revokeToken } from '../mint-admin-token.ts'
import { can, created, noContent, ok, route } from '../route.ts'
import { listAdminTokens } from '../store/admin-tokens.ts'
import { pageQuery, text, trimmed } from './inputs.ts'
import { named, pageOf, timestamp } from './shapes.ts'

const base = {
  id: v.string(),
  name: v.string(),
  scope: v.picklist(['global', 'zone']),
  capability: v.picklist(['read', 'write', 'approve']),
  zone_id: v.nullable(v.string()),
  created_by: v.string(),
  created_at: timestamp,
}
const adminToken = named(
  'AdminToken',
  v.object({ ...base, last_used_at: v.nullable(timestamp), revoked_at: v.nullable(timestamp) }),
)
const path = '/v1/admin-tokens'
const tag = 'Admin tokens'
const gateErrors: readonly ErrorCode[] = [
  'admin_token_management_requires_global',
  'admin_token_management_forbidden_for_derived_token',
]

export const adminTokenRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listAdminTokens',
    tag,
    summary: 'List admin tokens, revoked ones included',
    access: 'read',
    permission: can('iam', 'admin-tokens', 'list'),
    priority: 'P0',
    query: pageQuery,
    responses: { 200: pageOf('AdminToken', adminToken) },
    errors: ['invalid_query', 'invalid_cursor', ...gateErrors],
    handle: async (control, call) =>
      ok(await reading(control, call, (db) => listAdminTokens(db, call.query))),
  }),
  route({
    method: 'POST',
    path,
    operationId: 'mintAdminToken',
    tag,
    summary: 'Mint an admin token',
    access: 'write',
    permission: can('iam', 'admin-tokens', 'create'),
    priority: 'P0',
    body: v.strictObject({
      name: trimmed(1, 120),
      scope: v.picklist(['global', 'zone']),
      zone_id: v.optional(text(1, 128)),
      capability: v.optional(v.picklist(['read', 'write', 'approve']), 'write'),
    }),
    invalid: 'invalid_admin_token_request',
    responses: { 201: named('MintedAdminToken', v.object({ ...base, token: v.string() })) },
    errors: [
      ...gateErrors,
      'invalid_admin_token_request',
      'zone_id_required',
      'zone_id_not_allowed_for_global',
      'zone_not_found',
      'approve_capability_required',
      'privilege_escalation',
    ],
    handle: async (control, call) => created(await mintAdminToken(control, call, call.body)),
  }),
  route({
    method: 'DELETE',
    path: `${path}/{id}`,
    operationId: 'revokeAdminToken',
    tag,
    summary: 'Revoke an admin token',
    access: 'write',
    permission: can('iam', 'admin-tokens', 'delete'),
    priority: 'P0',
    invalidId: 'invalid_admin_token_id',
    responses: { 204: null },
    errors: [...gateErrors, 'invalid_admin_token_id', 'admin_token_not_found'],
    handle: async (control, call) => {
      await revokeToken(control, call)
      return noContent
    },
  }),
]
