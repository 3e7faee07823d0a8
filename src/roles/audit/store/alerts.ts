import type { Queryable } from '../../../platform/db/port.ts'

export interface IngestAlert {
  readonly eventId: string
  readonly zoneId: string
  readonly kind: 'content_mismatch_on_replay' | 'hmac_verify_failed' | 'json_parse_error'
  readonly detail: string
}

/** Records what ingest refused and why (audit-and-events §6.3). */
export async function recordAlert(db: Queryable, alert: IngestAlert): Promise<void> {
  await db.sql`
    insert into audit_ingest_alerts (event_id, zone_id, kind, detail)
    values (${alert.eventId}, ${alert.zoneId}, ${alert.kind}, ${alert.detail})`
}
