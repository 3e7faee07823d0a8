import type { Queryable } from '../../../platform/db/port.ts'

/**
 * Makes a dead row of the zone pending again, with a fresh budget of attempts (audit-and-events
 * §10.3). An audit event carries its zone inside the signed text. False when there is no such row.
 */
export async function requeueDead(db: Queryable, zoneId: string, id: string): Promise<boolean> {
  const requeued = await db.sql`
    update caracal_outbox
    set status = 'pending',
        attempts = 0,
        available_at = now(),
        locked_until = null,
        locked_by = null,
        updated_at = now()
    where id = ${id}
      and producer = 'coordinator'
      and status = 'dead'
      and case
        when topic = 'caracal.audit.events' then (payload_json ->> 'data')::jsonb ->> 'zone_id'
        else payload_json ->> 'zone_id'
      end = ${zoneId}`
  return requeued.count > 0
}
