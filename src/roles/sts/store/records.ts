/** Reads one authority record. Primary key. */
import type { Queryable } from '../../../platform/db/port.ts'
import type { RecordState } from './snapshot.ts'

export async function readRecord(
  db: Pick<Queryable, 'sql'>,
  zoneId: string,
  recordId: string,
): Promise<RecordState | null> {
  const [row] = await db.sql<RecordState[]>`
    select id, session_type, subject_id, status, (extract(epoch from expires_at) * 1000)::float8 as expires_at
    from authority_records
    where id = ${recordId} and zone_id = ${zoneId}`
  return row ?? null
}
