import type { Queryable } from '../../../platform/db/port.ts'
import { storableText } from '../../../platform/db/storable-text.ts'

export interface IngestAlert {
  readonly eventId: string
  readonly zoneId: string
  readonly kind: 'content_mismatch_on_replay' | 'hmac_verify_failed' | 'json_parse_error'
  readonly detail: string
}

/** An index holds the zone; what an entry claims to be may be of any length. */
const longestClaim = 256

const claim = (text: string) => storableText(text).slice(0, longestClaim)

/** Records what ingest refused and why (audit-and-events §6.3), whatever the entry says of itself. */
export async function recordAlert(db: Queryable, alert: IngestAlert): Promise<void> {
  await db.sql`
    insert into audit_ingest_alerts (event_id, zone_id, kind, detail)
    values (${claim(alert.eventId)}, ${claim(alert.zoneId)}, ${alert.kind}, ${storableText(alert.detail)})`
}
