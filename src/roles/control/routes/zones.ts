/** Zones: the tenant boundary (control-api §7.4). */
import * as v from '../../../platform/schema.ts'
import { changeZone } from '../change-zone.ts'
import { reading, writing } from '../control.ts'
import { createZone } from '../create-zone.ts'
import { endZone } from '../end-zone.ts'
import { found, notFound } from '../not-found.ts'
import { type Call, can, created, noContent, ok, route } from '../route.ts'
import { countLiveDcrApplications, findZone, listZones, type ZoneView } from '../store/zones.ts'
import { pageQuery, trimmed } from './inputs.ts'
import { attribution, named, pageOf } from './shapes.ts'

const slug = v.pipe(v.string(), v.maxLength(120), v.regex(/^[a-z0-9-]+$/))

const zone = named(
  'Zone',
  v.object({
    id: v.string(),
    name: v.string(),
    slug: v.string(),
    dcr_enabled: v.boolean(),
    operator_coauthor_badge: v.boolean(),
    operator_governed: v.boolean(),
    ...attribution,
  }),
)

const newZone = v.strictObject({
  name: trimmed(1, 120),
  slug: v.optional(slug),
  dcr_enabled: v.optional(v.boolean()),
})

const zonePatch = v.strictObject({
  name: v.optional(trimmed(1, 120)),
  slug: v.optional(slug),
  dcr_enabled: v.optional(v.boolean()),
  dcr_shutdown: v.optional(v.picklist(['keep_live', 'revoke_live'])),
  operator_coauthor_badge: v.optional(v.boolean()),
  operator_governed: v.optional(v.boolean()),
})

const tag = 'Zones'

function viewOf({ principal, scope }: Call<unknown, unknown>): ZoneView {
  if (principal.actsFor !== undefined) return { owner: principal.actsFor }
  return scope.zone === null ? null : scope.zone.split(',')
}

export const zoneRoutes = [
  route({
    method: 'GET',
    path: '/v1/zones',
    operationId: 'listZones',
    tag,
    summary: 'List zones',
    access: 'read',
    permission: can('core', 'zones', 'list'),
    priority: 'P0',
    query: pageQuery,
    responses: { 200: pageOf('Zone', zone) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) =>
      ok(await reading(control, call, (db) => listZones(db, call.query, viewOf(call)))),
  }),
  route({
    method: 'POST',
    path: '/v1/zones',
    operationId: 'createZone',
    tag,
    summary: 'Create a zone',
    access: 'write',
    permission: can('core', 'zones', 'create'),
    priority: 'P0',
    body: newZone,
    invalid: 'invalid_zone',
    responses: { 201: zone },
    errors: ['invalid_zone', 'reserved_namespace', 'zone_slug_conflict'],
    handle: async (control, call) => created(await createZone(control, call, call.body)),
  }),
  route({
    method: 'GET',
    path: '/v1/zones/{id}',
    operationId: 'getZone',
    tag,
    summary: 'Read a zone',
    access: 'read',
    permission: can('core', 'zones', 'get'),
    priority: 'P0',
    responses: { 200: zone },
    errors: ['zone_not_found'],
    handle: async (control, call) =>
      ok(found(await reading(control, call, (db) => findZone(db, call.id)), 'zone_not_found')),
  }),
  route({
    method: 'PATCH',
    path: '/v1/zones/{id}',
    operationId: 'updateZone',
    tag,
    summary: 'Change a zone',
    access: 'write',
    permission: can('core', 'zones', 'update'),
    priority: 'P0',
    body: zonePatch,
    invalid: 'invalid_zone',
    responses: { 200: zone },
    errors: [
      'invalid_zone',
      'no_fields',
      'dcr_shutdown_not_applicable',
      'zone_not_found',
      'reserved_namespace',
      'zone_slug_conflict',
      'dcr_shutdown_required',
    ],
    handle: async (control, call) => ok(await changeZone(control, call, call.body)),
  }),
  route({
    method: 'DELETE',
    path: '/v1/zones/{id}',
    operationId: 'archiveZone',
    tag,
    summary: 'Archive a zone',
    access: 'write',
    permission: can('core', 'zones', 'delete'),
    priority: 'P0',
    responses: { 204: null },
    errors: ['zone_not_found'],
    handle: async (control, call) => {
      await writing(control, call, async (tx) => {
        const zone = { id: call.id, by: call.attribution, requestId: call.requestId }
        if (!(await endZone(control, tx, zone))) throw notFound('zone_not_found')
      })
      return noContent
    },
  }),
  route({
    method: 'GET',
    path: '/v1/zones/{id}/dcr-status',
    operationId: 'getDcrStatus',
    tag,
    summary: 'Read the state of dynamic client registration',
    access: 'read',
    permission: can('core', 'zones/dcr', 'get'),
    priority: 'P1',
    responses: {
      200: named(
        'DcrStatus',
        v.object({ id: v.string(), dcr_enabled: v.boolean(), live_dcr_applications: v.number() }),
      ),
    },
    errors: ['zone_not_found'],
    handle: async (control, call) =>
      reading(control, call, async (db) => {
        const row = found(await findZone(db, call.id), 'zone_not_found')
        const live = await countLiveDcrApplications(db, call.id)
        return ok({ id: row.id, dcr_enabled: row.dcr_enabled, live_dcr_applications: live })
      }),
  }),
]
