/** Grants (control-api §7.13). */
import * as v from '../../../platform/schema.ts'
import { createGrant, withdrawGrant } from '../change-grant.ts'
import { reading } from '../control.ts'
import { found } from '../not-found.ts'
import { can, created, noContent, ok, route } from '../route.ts'
import { findGrant, listGrants } from '../store/grants.ts'
import { commaList, identifier, pageEntries, text } from './inputs.ts'
import { named, pageOf, timestamp } from './shapes.ts'

const base = {
  id: v.string(),
  zone_id: v.string(),
  application_id: v.nullable(v.string()),
  user_id: v.string(),
  resource_id: v.string(),
  scopes: v.array(v.string()),
  status: v.picklist(['active', 'revoked', 'expired']),
  created_by: v.nullable(v.string()),
  created_via_operator: v.boolean(),
  updated_by: v.nullable(v.string()),
  updated_via_operator: v.boolean(),
  created_at: timestamp,
}
const grant = named('Grant', v.object(base))
const namedGrant = named(
  'GrantWithNames',
  v.object({
    ...base,
    provider_id: v.nullable(v.string()),
    application_name: v.nullable(v.string()),
    resource_name: v.nullable(v.string()),
    provider_name: v.nullable(v.string()),
    provider_kind: v.nullable(v.string()),
  }),
)
const scope = v.pipe(v.string(), v.regex(/^[a-z0-9:_./-]{1,200}$/))

const path = '/v1/zones/{zoneId}/grants'
const tag = 'Grants'

export const grantRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listGrants',
    tag,
    summary: 'List grants',
    access: 'read',
    permission: can('core', 'grants', 'list'),
    priority: 'P1',
    query: v.object({
      ...pageEntries,
      application_id: v.optional(identifier),
      user_id: v.optional(text(1, 512)),
      subject_id: v.optional(text(1, 512)),
      resource_id: v.optional(identifier),
      provider_id: v.optional(identifier),
      status: v.optional(v.picklist(['active', 'revoked', 'expired'])),
      scopes: v.optional(commaList(64)),
    }),
    responses: { 200: pageOf('GrantWithNames', namedGrant) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) => {
      const { limit, cursor, subject_id, ...filters } = call.query
      const wanted = { ...filters, user_id: filters.user_id ?? subject_id }
      return ok(await reading(control, call, (db) => listGrants(db, call.zoneId, wanted, { limit, cursor })))
    },
  }),
  route({
    method: 'POST',
    path,
    operationId: 'createGrant',
    tag,
    summary: 'Create a grant',
    access: 'write',
    permission: can('core', 'grants', 'create'),
    priority: 'P1',
    needsLiveZone: true,
    body: v.object({
      application_id: identifier,
      user_id: text(1, 512),
      resource_id: identifier,
      scopes: v.pipe(v.array(scope), v.minLength(1), v.maxLength(64)),
    }),
    responses: { 201: grant },
    errors: [
      'invalid_body',
      'zone_not_found',
      'application_not_found',
      'resource_not_found',
      'grant_scopes_exceed_resource',
      'control_resource_not_grantable',
    ],
    handle: async (control, call) => created(await createGrant(control, call, call.body)),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}`,
    operationId: 'getGrant',
    tag,
    summary: 'Read a grant',
    access: 'read',
    permission: can('core', 'grants', 'get'),
    priority: 'P1',
    responses: { 200: grant },
    errors: ['grant_not_found'],
    handle: async (control, call) =>
      ok(found(await reading(control, call, (db) => findGrant(db, call.zoneId, call.id)), 'grant_not_found')),
  }),
  route({
    method: 'DELETE',
    path: `${path}/{id}`,
    operationId: 'revokeGrant',
    tag,
    summary: 'Withdraw a grant and end what its user holds',
    access: 'write',
    permission: can('core', 'grants', 'delete'),
    priority: 'P1',
    responses: { 204: null },
    errors: ['grant_not_found'],
    handle: async (control, call) => {
      await withdrawGrant(control, call)
      return noContent
    },
  }),
]
