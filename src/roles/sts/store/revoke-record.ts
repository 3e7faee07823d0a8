/**
 * Revokes an authority record and everything minted under it (sts §9, audit-and-events
 * §11.2). Takes `delegation:<zone>` exclusively, so that no mint that checked the record
 * before can commit after. Late and repeated messages change nothing: `revoked_at` and
 * `revoked_reason` are set once. Indexes: primary key, `(zone_id, parent_id)`.
 */

import type { Database, Tx } from '../../../platform/db/port.ts'
import { lockGraph } from '../../../platform/db/zone-locks.ts'

/** Resolves to how many records were revoked now. */
export function revokeRecord(
  db: Database,
  zoneId: string,
  recordId: string,
  reason: string,
): Promise<number> {
  return db.transaction((tx) => revokeRecordIn(tx, zoneId, recordId, reason))
}

/** The same inside a transaction that does more. */
export async function revokeRecordIn(
  tx: Tx,
  zoneId: string,
  recordId: string,
  reason: string,
): Promise<number> {
  await lockGraph(tx, zoneId)
  const rows = await tx.sql`
    with recursive lineage as (
      select id from authority_records where id = ${recordId} and zone_id = ${zoneId}
      union
      select a.id
      from lineage l
      join authority_records a on a.parent_id = l.id and a.zone_id = ${zoneId}
    )
    update authority_records a
    set status = 'revoked',
        revoked_at = coalesce(a.revoked_at, now()),
        revoked_reason = coalesce(a.revoked_reason, ${reason}),
        tally = case a.tally when 'done' then 'revocation_due' else a.tally end
    from lineage l
    where a.id = l.id
      and a.zone_id = ${zoneId}
      and a.status <> 'revoked'
    returning a.id`
  return rows.length
}
