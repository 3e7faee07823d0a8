/** SQL that finds an application without knowing its zone (sts §2.2 steps 2 and 3). */
import type { Queryable } from '../../../platform/db/port.ts'

export interface LocatedApplication {
  readonly id: string
  readonly zone_id: string
  readonly client_secret_hash: string | null
  readonly traits: readonly string[]
}

/** The live application of that id in any live zone. Primary key. */
export async function findApplicationAnywhere(
  db: Pick<Queryable, 'sql'>,
  applicationId: string,
): Promise<LocatedApplication | null> {
  const [row] = await db.sql<LocatedApplication[]>`
    select a.id, a.zone_id, a.client_secret_hash, a.traits
    from applications a
    join zones z on z.id = a.zone_id and z.archived_at is null
    where a.id = ${applicationId}
      and a.archived_at is null
      and (a.expires_at is null or a.expires_at > now())`
  return row ?? null
}
