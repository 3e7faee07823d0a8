/** Trusted identity issuers of a zone (control's table `subject_issuers`), read for federation. */
import type { Queryable } from '../../../platform/db/port.ts'

export interface SubjectIssuer {
  readonly id: string
  readonly issuer: string
  readonly jwks_url: string
  readonly audience: string
}

/** The live issuer of exactly this name. Unique index `(zone_id, issuer)`. */
export async function findSubjectIssuer(
  db: Pick<Queryable, 'sql'>,
  zoneId: string,
  issuer: string,
): Promise<SubjectIssuer | null> {
  const [row] = await db.sql<SubjectIssuer[]>`
    select id, issuer, jwks_url, audience
    from subject_issuers
    where zone_id = ${zoneId} and issuer = ${issuer} and archived_at is null`
  return row ?? null
}
