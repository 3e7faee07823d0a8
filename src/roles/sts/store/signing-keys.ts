/** SQL over zone signing keys: rows of `secrets` named `zone_signing_key` (sts §7.1, storage-and-operations §9.2). */
import type { Queryable } from '../../../platform/db/port.ts'

export interface SigningKeyRow {
  readonly id: string
  readonly zone_id: string
  readonly version: number
  readonly envelope: Buffer
}

/**
 * Keys a verifier of this zone may still meet: not yet active, active, and those whose
 * successor became active less than 24 h ago. Active key first, then newest first.
 * Index `secrets (zone_id, entity_id)`.
 */
export function readPublishedKeys(db: Pick<Queryable, 'sql'>, zoneId: string) {
  return db.sql<SigningKeyRow[]>`
    select id, zone_id, version, envelope
    from (
      select s.id, s.zone_id, s.version, s.envelope, s.active_from,
             lead(s.active_from) over (order by s.version) as successor_from
      from secrets s
      join zones z on z.id = s.zone_id and z.archived_at is null
      where s.zone_id = ${zoneId}
        and s.entity_id = ${zoneId}
        and s.name = 'zone_signing_key'
        and s.type = 'token'
    ) k
    where successor_from is null or successor_from > now() - interval '24 hours'
    order by (active_from <= now() and (successor_from is null or successor_from > now())) desc, version desc`
}

/** The same for all live zones, newest first, at most 1,000. */
export function readAllPublishedKeys(db: Pick<Queryable, 'sql'>) {
  return db.sql<SigningKeyRow[]>`
    select id, zone_id, version, envelope
    from (
      select s.id, s.zone_id, s.version, s.envelope, s.created_at,
             lead(s.active_from) over (partition by s.zone_id order by s.version) as successor_from
      from secrets s
      join zones z on z.id = s.zone_id and z.archived_at is null
      where s.entity_id = s.zone_id
        and s.name = 'zone_signing_key'
        and s.type = 'token'
    ) k
    where successor_from is null or successor_from > now() - interval '24 hours'
    order by created_at desc, id desc
    limit 1000`
}

/** Whether there is a live zone of this id. */
export async function zoneIsLive(db: Pick<Queryable, 'sql'>, zoneId: string): Promise<boolean> {
  const rows = await db.sql`select 1 from zones where id = ${zoneId} and archived_at is null`
  return rows.length > 0
}

/** Serialises creation and rotation of one zone's keys until the transaction ends. */
export async function lockSigningKey(db: Pick<Queryable, 'sql'>, zoneId: string): Promise<void> {
  await db.sql`select pg_advisory_xact_lock(hashtext(${`zone_signing_key:${zoneId}`}))`
}

/**
 * The key that signs now, read under `lockSigningKey`. By the clock, not by the start of the transaction:
 * who waited for the lock must see the key that its predecessor made meanwhile.
 */
export async function readActiveKey(
  db: Pick<Queryable, 'sql'>,
  zoneId: string,
): Promise<SigningKeyRow | null> {
  const [row] = await db.sql<SigningKeyRow[]>`
    select id, zone_id, version, envelope
    from secrets
    where zone_id = ${zoneId}
      and entity_id = ${zoneId}
      and name = 'zone_signing_key'
      and type = 'token'
      and active_from <= clock_timestamp()
    order by version desc
    limit 1`
  return row ?? null
}

/** Adds the next version; it signs from `aheadMs` after now on. Under `lockSigningKey`. */
export async function insertKey(
  db: Pick<Queryable, 'sql'>,
  key: { readonly id: string; readonly zoneId: string; readonly envelope: Buffer; readonly aheadMs: number },
): Promise<void> {
  await db.sql`
    insert into secrets (id, zone_id, entity_id, name, type, envelope, version, active_from)
    select ${key.id}, ${key.zoneId}, ${key.zoneId}, 'zone_signing_key', 'token', ${key.envelope},
           coalesce(max(s.version), 0) + 1,
           clock_timestamp() + make_interval(secs => ${key.aheadMs / 1000}::float8)
    from secrets s
    where s.zone_id = ${key.zoneId}
      and s.entity_id = ${key.zoneId}
      and s.name = 'zone_signing_key'`
}
