/** Notification sinks: signed webhooks about approvals (control-api §7.17). */
import * as v from '../../../platform/schema.ts'
import { changeSink, createSink, removeSink, rotateSinkSecret, sinkEvents } from '../change-sink.ts'
import { reading } from '../control.ts'
import { found } from '../not-found.ts'
import { can, created, noContent, ok, route } from '../route.ts'
import { findSink, listDeliveries, listSinks } from '../store/sinks.ts'
import { pageQuery, text, trimmed } from './inputs.ts'
import { named, pageOf, timestamp } from './shapes.ts'

const base = {
  id: v.string(),
  zone_id: v.string(),
  name: v.string(),
  url: v.string(),
  event_types: v.array(v.string()),
  active: v.boolean(),
  consecutive_failures: v.number(),
  last_success_at: v.nullable(timestamp),
  last_failure_at: v.nullable(timestamp),
  last_error: v.nullable(v.string()),
  created_at: timestamp,
  updated_at: timestamp,
}
const sink = named('NotificationSink', v.object(base))
const withSecret = named('NotificationSinkWithSecret', v.object({ ...base, secret: v.string() }))
const delivery = named(
  'NotificationDelivery',
  v.object({
    id: v.string(),
    sink_id: v.string(),
    event_id: v.string(),
    event_type: v.string(),
    attempts: v.number(),
    available_at: timestamp,
    delivered_at: v.nullable(timestamp),
    abandoned_at: v.nullable(timestamp),
    response_status: v.nullable(v.number()),
    last_error: v.nullable(v.string()),
    created_at: timestamp,
  }),
)
const events = v.pipe(v.array(v.picklist(sinkEvents)), v.minLength(1), v.maxLength(3))

const path = '/v1/zones/{zoneId}/notification-sinks'
const tag = 'Notification sinks'

export const sinkRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listNotificationSinks',
    tag,
    summary: 'List notification sinks',
    access: 'read',
    permission: can('approval', 'notification-sinks', 'list'),
    priority: 'P1',
    query: pageQuery,
    responses: { 200: pageOf('NotificationSink', sink) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) =>
      ok(await reading(control, call, (db) => listSinks(db, call.zoneId, call.query))),
  }),
  route({
    method: 'POST',
    path,
    operationId: 'createNotificationSink',
    tag,
    summary: 'Create a notification sink',
    access: 'write',
    permission: can('approval', 'notification-sinks', 'create'),
    priority: 'P1',
    needsLiveZone: true,
    body: v.object({
      name: trimmed(1, 120),
      url: text(1, 2048),
      event_types: v.optional(events, [...sinkEvents]),
    }),
    invalid: 'invalid_sink',
    responses: { 201: withSecret },
    errors: [
      'invalid_sink',
      'invalid_sink_url',
      'zone_not_found',
      'sink_limit_reached',
      'service_unconfigured',
    ],
    handle: async (control, call) => created(await createSink(control, call, call.body)),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}`,
    operationId: 'getNotificationSink',
    tag,
    summary: 'Read a notification sink',
    access: 'read',
    permission: can('approval', 'notification-sinks', 'get'),
    priority: 'P1',
    responses: { 200: sink },
    errors: ['sink_not_found'],
    handle: async (control, call) =>
      ok(found(await reading(control, call, (db) => findSink(db, call.zoneId, call.id)), 'sink_not_found')),
  }),
  route({
    method: 'PATCH',
    path: `${path}/{id}`,
    operationId: 'updateNotificationSink',
    tag,
    summary: 'Change, pause or resume a notification sink',
    access: 'write',
    permission: can('approval', 'notification-sinks', 'update'),
    priority: 'P1',
    body: v.object({
      name: v.optional(trimmed(1, 120)),
      url: v.optional(text(1, 2048)),
      event_types: v.optional(events),
      active: v.optional(v.boolean()),
    }),
    invalid: 'invalid_sink',
    responses: { 200: sink },
    errors: ['invalid_sink', 'invalid_sink_url', 'no_fields', 'sink_not_found'],
    handle: async (control, call) => ok(await changeSink(control, call, call.body)),
  }),
  route({
    method: 'POST',
    path: `${path}/{id}/rotate-secret`,
    operationId: 'rotateNotificationSinkSecret',
    tag,
    summary: 'Replace the signing secret',
    access: 'write',
    permission: can('approval', 'notification-sinks', 'rotate'),
    priority: 'P1',
    responses: { 200: withSecret },
    errors: ['sink_not_found', 'service_unconfigured'],
    handle: async (control, call) => ok(await rotateSinkSecret(control, call)),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}/deliveries`,
    operationId: 'listNotificationDeliveries',
    tag,
    summary: 'What was sent to a sink, and how it went',
    access: 'read',
    permission: can('approval', 'notification-sinks', 'get'),
    priority: 'P1',
    query: pageQuery,
    responses: { 200: pageOf('NotificationDelivery', delivery) },
    errors: ['invalid_query', 'invalid_cursor', 'sink_not_found'],
    handle: async (control, call) =>
      reading(control, call, async (db) => {
        found(await findSink(db, call.zoneId, call.id), 'sink_not_found')
        return ok(await listDeliveries(db, call.zoneId, call.id, call.query))
      }),
  }),
  route({
    method: 'DELETE',
    path: `${path}/{id}`,
    operationId: 'deleteNotificationSink',
    tag,
    summary: 'Delete a notification sink',
    access: 'write',
    permission: can('approval', 'notification-sinks', 'delete'),
    priority: 'P1',
    responses: { 204: null },
    errors: ['sink_not_found'],
    handle: async (control, call) => {
      await removeSink(control, call)
      return noContent
    },
  }),
]
