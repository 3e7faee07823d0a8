/** Issuers whose users the zone accepts (control-api §7.14). */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { Attribution } from '../route.ts'
import { archiveLive, findLive } from './definitions.ts'
import { keyset, type Page, type PageQuery } from './page.ts'

export interface SubjectIssuer {
  readonly id: string
  readonly zone_id: string
  readonly issuer: string
  readonly jwks_url: string
  readonly audience: string
  readonly created_at: Date
  readonly updated_at: Date
  readonly created_by: string | null
  readonly created_via_operator: boolean
  readonly updated_by: string | null
  readonly updated_via_operator: boolean
}

const columns = ({ sql }: Queryable) => sql`
  id, zone_id, issuer, jwks_url, audience, created_at, updated_at,
  created_by, created_via_operator, updated_by, updated_via_operator`

export async function listSubjectIssuers(
  db: Queryable,
  zoneId: string,
  query: PageQuery,
): Promise<Page<SubjectIssuer>> {
  const { sql } = db
  const keys = keyset(sql, query, ['subject_issuers', zoneId])
  const rows = await plannedForItsValues(sql<(SubjectIssuer & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position} from subject_issuers
    where zone_id = ${zoneId} and archived_at is null and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

export const findSubjectIssuer = (db: Queryable, zoneId: string, id: string): Promise<SubjectIssuer | null> =>
  findLive(db, 'subject_issuers', columns, zoneId, id)

export async function countSubjectIssuers(db: Queryable, zoneId: string): Promise<number> {
  const [row] = await db.sql<{ n: number }[]>`
    select count(*)::int as n from subject_issuers where zone_id = ${zoneId} and archived_at is null`
  return row?.n ?? 0
}

/** Inserts the issuer; `null` when an active one has the name. */
export async function insertSubjectIssuer(
  tx: Tx,
  issuer: Pick<SubjectIssuer, 'id' | 'zone_id' | 'issuer' | 'jwks_url' | 'audience'>,
  by: Attribution,
): Promise<SubjectIssuer | null> {
  const [row] = await tx.sql<SubjectIssuer[]>`
    insert into subject_issuers
      (id, zone_id, issuer, jwks_url, audience, created_by, created_via_operator, updated_by, updated_via_operator)
    values
      (${issuer.id}, ${issuer.zone_id}, ${issuer.issuer}, ${issuer.jwks_url}, ${issuer.audience},
       ${by.by}, ${by.viaOperator}, ${by.by}, ${by.viaOperator})
    on conflict (zone_id, issuer) where archived_at is null do nothing
    returning ${columns(tx)}`
  return row ?? null
}

export async function updateSubjectIssuer(
  tx: Tx,
  zoneId: string,
  id: string,
  patch: { readonly jwks_url?: string | undefined; readonly audience?: string | undefined },
  by: Attribution,
): Promise<SubjectIssuer | null> {
  const [row] = await tx.sql<SubjectIssuer[]>`
    update subject_issuers set
      jwks_url = coalesce(${patch.jwks_url ?? null}, jwks_url),
      audience = coalesce(${patch.audience ?? null}, audience),
      updated_at = now(),
      updated_by = ${by.by},
      updated_via_operator = ${by.viaOperator}
    where zone_id = ${zoneId} and id = ${id} and archived_at is null
    returning ${columns(tx)}`
  return row ?? null
}

/** True when it was live and is now archived. */
export const archiveSubjectIssuer = (tx: Tx, zoneId: string, id: string, by: Attribution): Promise<boolean> =>
  archiveLive(tx, 'subject_issuers', zoneId, id, by)
