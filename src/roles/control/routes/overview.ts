/** The zone at a glance (control-api §7.19), and whether the assistant exists (§7.20). */
import * as v from '../../../platform/schema.ts'
import { reading } from '../control.ts'
import { redactEvidence } from '../redact-evidence.ts'
import { can, ok, route } from '../route.ts'
import { recentEvents, zoneOverview } from '../store/overview.ts'
import { anyJson, named, timestamp } from './shapes.ts'

export const overviewRoutes = [
  route({
    method: 'GET',
    path: '/v1/zones/{zoneId}/overview',
    operationId: 'getZoneOverview',
    tag: 'Zones',
    summary: 'A zone at a glance',
    access: 'read',
    permission: can('core', 'zones/overview', 'get'),
    priority: 'P1',
    responses: {
      200: named(
        'ZoneOverview',
        v.object({
          zone_id: v.string(),
          generated_at: timestamp,
          applications: v.object({ total: v.number(), expired: v.number(), expiring_soon: v.number() }),
          resources: v.object({ total: v.number(), unenforced: v.number() }),
          providers: v.object({ total: v.number() }),
          policy_sets: v.object({
            total: v.number(),
            enforcing: v.number(),
            active_name: v.nullable(v.string()),
          }),
          sessions: v.object({ active: v.number() }),
          decisions_24h: v.object({ allowed: v.number(), denied: v.number() }),
          recent_events: v.array(anyJson),
        }),
      ),
    },
    errors: [],
    handle: async (control, call) =>
      reading(control, call, async (db) => {
        const overview = await zoneOverview(db, call.zoneId)
        const events = await recentEvents(db, call.zoneId)
        return ok({
          zone_id: call.zoneId,
          ...overview,
          recent_events: events.map((event) => ({
            ...event,
            metadata_json: redactEvidence(event.metadata_json),
          })),
        })
      }),
  }),
  route({
    method: 'GET',
    path: '/v1/operator/status',
    operationId: 'getOperatorStatus',
    tag: 'Operator',
    summary: 'Whether the assistant is available',
    access: 'read',
    permission: can('operator', 'conversations', 'list'),
    priority: 'P1',
    responses: { 200: named('OperatorStatus', v.object({ enabled: v.boolean() })) },
    errors: [],
    handle: async () => ok({ enabled: false }),
  }),
]
