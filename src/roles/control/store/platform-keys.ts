/** Keys that sign login tokens of this deployment (control-api §12.3). Sealed; the id is the `kid`. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'

export interface PlatformKey {
  readonly id: string
  readonly envelope: Buffer
  readonly version: number
}

/** Newest first. */
export async function listPlatformKeys(db: Queryable): Promise<PlatformKey[]> {
  return await db.sql<PlatformKey[]>`
    select id, envelope, version from platform_signing_keys order by version desc`
}

/** One process makes the first key; the others read it. */
export async function lockPlatformKeys(tx: Tx): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtextextended('platform_signing_keys', 0))`
}

export async function insertPlatformKey(tx: Tx, key: PlatformKey): Promise<void> {
  await tx.sql`
    insert into platform_signing_keys (id, envelope, version) values (${key.id}, ${key.envelope}, ${key.version})`
}
