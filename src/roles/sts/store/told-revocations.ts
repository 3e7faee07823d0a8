/**
 * Revocations that were published already: read again when the stream lost its memory,
 * because a message nobody handled is gone with it (storage-and-operations §17).
 */
import type { Queryable } from '../../../platform/db/port.ts'

export interface ToldRevocation {
  readonly zone_id: string | null
  readonly session_id: string | null
  readonly reason: string | null
}

/** Rows of the last 24 h that name an authority record. A partial index by `updated_at`. */
export function readToldRevocations(db: Pick<Queryable, 'sql'>) {
  return db.sql<ToldRevocation[]>`
    select payload_json->>'zone_id' as zone_id,
           payload_json->>'session_id' as session_id,
           payload_json->>'reason' as reason
    from caracal_outbox
    where topic = 'caracal.sessions.revoke'
      and status = 'published'
      and updated_at > now() - interval '24 hours'
      and payload_json->>'session_id' <> ''`
}
