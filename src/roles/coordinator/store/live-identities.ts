/** The live-identity check of every call (coordinator §2.2, step 8): one statement for the calls of one turn. */
import { createCoalescer } from '../../../platform/bus/coalesce.ts'
import type { Database } from '../../../platform/db/port.ts'

export interface Identity {
  readonly zoneId: string
  readonly applicationId: string
  /** Null where the mandate names none. */
  readonly recordId: string | null
}

export type IsLive = (identity: Identity) => Promise<boolean>

/** Zone and application in use, and the authority record active and unexpired, by the database's clock. */
export function createIdentityCheck(db: Pick<Database, 'hot'>): IsLive {
  const batches = createCoalescer<Identity, boolean>({
    maxItems: 128,
    flush: async (identities) => {
      const rows = await db.hot<{ n: number }[]>`
        select (i.n - 1)::int as n
        from unnest(
          ${identities.map(({ zoneId }) => zoneId)}::text[],
          ${identities.map(({ applicationId }) => applicationId)}::text[],
          ${identities.map(({ recordId }) => recordId)}::text[]
        ) with ordinality as i(zone, application, record, n)
        where (
            select a.zone_id = i.zone
              and a.archived_at is null
              and (a.expires_at is null or a.expires_at > statement_timestamp())
            from applications a
            where a.id = i.application
          )
          and (select z.archived_at is null from zones z where z.id = i.zone)
          and (
            i.record is null
            or (
              select r.zone_id = i.zone and r.status = 'active' and r.expires_at > statement_timestamp()
              from authority_records r
              where r.id = i.record
            )
          )`
      const live = new Set(rows.map(({ n }) => n))
      return identities.map((_, n) => live.has(n))
    },
  })
  return (identity) => batches.add(identity)
}
