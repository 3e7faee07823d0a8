/** Keys that sign login tokens of this deployment (control-api §12.3). Sealed; the id is the `kid`. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'

export interface PlatformKey {
  readonly id: string
  readonly envelope: Buffer
  readonly version: number
}

/**
 * Keys that may verify, newest first: the one that signs, and those whose successor is not 24 hours
 * old, which is as long as a login lasts at the most.
 */
export async function listPlatformKeys(db: Queryable): Promise<PlatformKey[]> {
  return await db.sql<PlatformKey[]>`
    select id, envelope, version
    from (
      select id, envelope, version, lead(created_at) over (order by version) as successor_from
      from platform_signing_keys
    ) k
    where successor_from is null or successor_from > now() - interval '24 hours'
    order by version desc`
}

/** One process makes the first key, or the next; the others read it. */
export async function lockPlatformKeys(tx: Tx): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtextextended('platform_signing_keys', 0))`
}

/** Adds the next version, under `lockPlatformKeys`. */
export async function insertPlatformKey(
  tx: Tx,
  key: { readonly id: string; readonly envelope: Buffer },
): Promise<PlatformKey> {
  const [row] = await tx.sql<PlatformKey[]>`
    insert into platform_signing_keys (id, envelope, version, created_at)
    select ${key.id}, ${key.envelope}, coalesce(max(version), 0) + 1, clock_timestamp() from platform_signing_keys
    returning id, envelope, version`
  if (row === undefined) throw new Error('insert returned no row')
  return row
}

/** Ends every key but this one. */
export async function deleteOtherPlatformKeys(tx: Tx, id: string): Promise<void> {
  await tx.sql`delete from platform_signing_keys where id <> ${id}`
}
