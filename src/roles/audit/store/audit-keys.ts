/** Sealed audit keys of zones: rows of `secrets` named `zone_audit_key`, `id` = `kid`. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'

export interface AuditKeyRow {
  readonly id: string
  readonly envelope: Buffer
}

/** All of them, newest first: an old receipt must stay verifiable. */
export async function readAuditKeys({ sql }: Queryable, zoneId: string): Promise<AuditKeyRow[]> {
  const rows = await sql<AuditKeyRow[]>`
    select id, envelope
    from secrets
    where zone_id = ${zoneId}
      and entity_id = ${zoneId}
      and name = 'zone_audit_key'
    order by version desc`
  return [...rows]
}

/** Serialises making a zone's key and growing its tree until the transaction ends. */
export async function lockTree({ sql }: Tx, zoneId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`audit-tree:${zoneId}`}, 0))`
}

/** Adds the zone's next key. Only under `lockTree`. */
export async function insertAuditKey({ sql }: Tx, zoneId: string, key: AuditKeyRow): Promise<void> {
  await sql`
    insert into secrets (id, zone_id, entity_id, name, type, envelope, version)
    select ${key.id}, ${zoneId}, ${zoneId}, 'zone_audit_key', 'token', ${key.envelope},
           coalesce(max(version), 0) + 1
    from secrets
    where zone_id = ${zoneId}
      and entity_id = ${zoneId}
      and name = 'zone_audit_key'`
}
