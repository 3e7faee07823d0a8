/** Administrator tokens (control-api §3.1). Found by keyed lookup, proved by `token_hash`; the token itself is stored nowhere. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { Capability } from '../principal.ts'
import { keyset, type Page, type PageQuery } from './page.ts'

export interface StoredAdminToken {
  readonly id: string
  readonly name: string
  readonly token_hash: string | null
  readonly scope: 'global' | 'zone'
  readonly zone_id: string | null
  readonly capability: Capability
  readonly created_by: string
}

export interface AdminToken {
  readonly id: string
  readonly name: string
  readonly scope: 'global' | 'zone'
  readonly capability: Capability
  readonly zone_id: string | null
  readonly created_by: string
  readonly created_at: Date
  readonly last_used_at: Date | null
  readonly revoked_at: Date | null
}

/** The live token with this lookup value. */
export async function findAdminToken(db: Queryable, lookup: Buffer): Promise<StoredAdminToken | null> {
  const [row] = await db.sql<StoredAdminToken[]>`
    select id, name, token_hash, scope, zone_id, capability, created_by
    from admin_tokens where token_lookup = ${lookup} and revoked_at is null`
  return row ?? null
}

export interface NewAdminToken {
  readonly id: string
  readonly name: string
  readonly lookup: Buffer
  readonly hash: string
  readonly scope: 'global' | 'zone'
  readonly zoneId: string | null
  readonly capability: Capability
  readonly createdBy: string
}

const columns = ({ sql }: Queryable) => sql`
  id, name, scope, capability, zone_id, created_by, created_at, last_used_at, revoked_at`

/** Inserts the token; `null` when a live one has the same lookup value. */
export async function insertAdminToken(db: Queryable, token: NewAdminToken): Promise<AdminToken | null> {
  const [row] = await db.sql<AdminToken[]>`
    insert into admin_tokens (id, name, token_lookup, token_hash, scope, zone_id, capability, created_by)
    values (${token.id}, ${token.name}, ${token.lookup}, ${token.hash}, ${token.scope}, ${token.zoneId},
            ${token.capability}, ${token.createdBy})
    on conflict (token_lookup) where revoked_at is null do nothing
    returning ${columns(db)}`
  return row ?? null
}

export async function listAdminTokens(db: Queryable, query: PageQuery): Promise<Page<AdminToken>> {
  const { sql } = db
  const keys = keyset(sql, query, ['admin_tokens'])
  const rows = await plannedForItsValues(sql<(AdminToken & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position} from admin_tokens where ${keys.after} ${keys.tail}`)
  return keys.page(rows)
}

/** True when the token was live. */
export async function revokeAdminToken(db: Queryable, id: string): Promise<boolean> {
  const rows = await db.sql`
    update admin_tokens set revoked_at = now() where id = ${id} and revoked_at is null returning id`
  return rows.length > 0
}

/** Rows, revoked ones included, that carry this lookup value and origin. */
export async function findSeeded(
  db: Queryable,
  lookup: Buffer,
  createdBy: string,
): Promise<{ readonly revoked: boolean; readonly token_hash: string | null } | null> {
  const [row] = await db.sql<{ revoked: boolean; token_hash: string | null }[]>`
    select revoked_at is not null as revoked, token_hash
    from admin_tokens where token_lookup = ${lookup} and created_by = ${createdBy}
    order by revoked_at nulls first
    limit 1`
  return row ?? null
}

/**
 * Revokes every live token of this origin except the one with `lookup`, as a rotated environment
 * token ends its predecessor; answers the ids.
 */
export async function revokeOtherSeeded(tx: Tx, createdBy: string, lookup: Buffer): Promise<string[]> {
  const rows = await tx.sql<{ id: string }[]>`
    update admin_tokens set revoked_at = now()
    where created_by = ${createdBy} and revoked_at is null and token_lookup <> ${lookup}
    returning id`
  return rows.map((row) => row.id)
}

export async function touchAdminToken(db: Queryable, id: string): Promise<void> {
  await db.sql`update admin_tokens set last_used_at = now() where id = ${id}`
}
