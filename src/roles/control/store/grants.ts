/** Grants: administrative records of who may use what for whom; policy, not they, decides (gateway §26). */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { Attribution } from '../route.ts'
import { given, keyset, type Page, type PageQuery } from './page.ts'

export interface Grant {
  readonly id: string
  readonly zone_id: string
  readonly application_id: string | null
  readonly user_id: string
  readonly resource_id: string
  readonly scopes: readonly string[]
  readonly status: 'active' | 'revoked' | 'expired'
  readonly created_by: string | null
  readonly created_via_operator: boolean
  readonly updated_by: string | null
  readonly updated_via_operator: boolean
  readonly created_at: Date
}

export interface NamedGrant extends Grant {
  readonly provider_id: string | null
  readonly application_name: string | null
  readonly resource_name: string | null
  readonly provider_name: string | null
  readonly provider_kind: string | null
}

const columns = ({ sql }: Queryable) => sql`
  g.id, g.zone_id, g.application_id, g.user_id, g.resource_id, g.scopes, g.status,
  g.created_by, g.created_via_operator, g.updated_by, g.updated_via_operator, g.created_at`

export interface GrantFilters {
  readonly application_id?: string | undefined
  readonly user_id?: string | undefined
  readonly resource_id?: string | undefined
  readonly provider_id?: string | undefined
  readonly status?: 'active' | 'revoked' | 'expired' | undefined
  /** All of these must be contained. */
  readonly scopes?: readonly string[] | undefined
}

export async function listGrants(
  db: Queryable,
  zoneId: string,
  filters: GrantFilters,
  query: PageQuery,
): Promise<Page<NamedGrant>> {
  const { sql } = db
  const keys = keyset(sql, query, ['grants', zoneId, filters], 'g.created_at', 'g.id')
  const scopes = (filters.scopes ?? []) as string[]
  const rows = await plannedForItsValues(sql<(NamedGrant & { cursor_ts: string })[]>`
    select ${columns(db)}, p.id as provider_id, a.name as application_name, r.name as resource_name,
      p.name as provider_name, p.provider_kind, ${keys.position}
    from delegated_grants g
    left join applications a on a.zone_id = g.zone_id and a.id = g.application_id
    left join resources r on r.zone_id = g.zone_id and r.id = g.resource_id
    left join providers p on p.zone_id = g.zone_id and p.id = r.credential_provider_id
    where g.zone_id = ${zoneId}
      and ${given(sql, filters.application_id, (value) => sql`g.application_id = ${value}`)}
      and ${given(sql, filters.user_id, (value) => sql`g.user_id = ${value}`)}
      and ${given(sql, filters.resource_id, (value) => sql`g.resource_id = ${value}`)}
      and ${given(sql, filters.provider_id, (value) => sql`p.id = ${value}`)}
      and ${given(sql, filters.status, (value) => sql`g.status = ${value}`)}
      and g.scopes @> ${scopes}::text[]
      and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

export async function findGrant(db: Queryable, zoneId: string, id: string): Promise<Grant | null> {
  const [row] = await db.sql<Grant[]>`
    select ${columns(db)} from delegated_grants g where g.zone_id = ${zoneId} and g.id = ${id}`
  return row ?? null
}

export async function insertGrant(
  tx: Tx,
  grant: Pick<Grant, 'id' | 'zone_id' | 'user_id' | 'resource_id' | 'scopes'> & {
    readonly application_id: string
  },
  by: Attribution,
): Promise<Grant> {
  const [row] = await tx.sql<Grant[]>`
    insert into delegated_grants as g
      (id, zone_id, application_id, user_id, resource_id, scopes,
       created_by, created_via_operator, updated_by, updated_via_operator)
    values
      (${grant.id}, ${grant.zone_id}, ${grant.application_id}, ${grant.user_id}, ${grant.resource_id},
       ${grant.scopes as string[]}::text[], ${by.by}, ${by.viaOperator}, ${by.by}, ${by.viaOperator})
    returning ${columns(tx)}`
  if (row === undefined) throw new Error('insert returned no row')
  return row
}

/** Marks the grant revoked; the row stays. Returns it, or `null` without one. */
export async function revokeGrant(
  tx: Tx,
  zoneId: string,
  id: string,
  by: Attribution,
): Promise<Grant | null> {
  const [row] = await tx.sql<Grant[]>`
    update delegated_grants g
    set status = 'revoked', updated_at = now(), updated_by = ${by.by}, updated_via_operator = ${by.viaOperator}
    where g.zone_id = ${zoneId} and g.id = ${id}
    returning ${columns(tx)}`
  return row ?? null
}
