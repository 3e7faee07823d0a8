/** Stored upstream accounts (gateway §23.1): credentials, not authorization. Tokens are sealed before they come here. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import { given, keyset, type Page, type PageQuery } from './page.ts'

export interface Connection {
  readonly id: string
  readonly zone_id: string
  readonly subject_id: string
  readonly provider_id: string
  readonly status: 'active' | 'revoked' | 'expired'
  readonly expires_at: Date | null
  readonly created_at: Date
  readonly updated_at: Date
}

export interface ListedConnection extends Connection {
  readonly refreshed_at: Date | null
  readonly renewable: boolean
}

export interface SealedTokens {
  readonly access: Buffer | null
  readonly refresh: Buffer | null
}

const columns = ({ sql }: Queryable) => sql`
  id, zone_id, subject_id, provider_id, status, expires_at, created_at, updated_at`

export interface ConnectionFilters {
  readonly provider_id?: string | undefined
  readonly subject_id?: string | undefined
  readonly status?: 'active' | 'revoked' | 'expired' | undefined
}

export async function listConnections(
  db: Queryable,
  zoneId: string,
  filters: ConnectionFilters,
  query: PageQuery,
): Promise<Page<ListedConnection>> {
  const { sql } = db
  const keys = keyset(sql, query, ['connections', zoneId, filters])
  const rows = await plannedForItsValues(sql<(ListedConnection & { cursor_ts: string })[]>`
    select ${columns(db)}, refreshed_at, refresh_token_ct is not null as renewable, ${keys.position}
    from provider_connections
    where zone_id = ${zoneId}
      and ${given(sql, filters.provider_id, (value) => sql`provider_id = ${value}`)}
      and ${given(sql, filters.subject_id, (value) => sql`subject_id = ${value}`)}
      and ${given(sql, filters.status, (value) => sql`status = ${value}`)}
      and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

/** Makes the one active connection of (zone, subject, provider), or replaces its tokens in place. */
export async function upsertConnection(
  tx: Tx,
  connection: {
    readonly id: string
    readonly zoneId: string
    readonly subjectId: string
    readonly providerId: string
    readonly tokens: SealedTokens
    readonly expiresAt: Date | string | null
  },
): Promise<Connection> {
  const { tokens } = connection
  const [row] = await tx.sql<Connection[]>`
    insert into provider_connections
      (id, zone_id, subject_id, provider_id, access_token_ct, refresh_token_ct, expires_at)
    values (${connection.id}, ${connection.zoneId}, ${connection.subjectId}, ${connection.providerId},
            ${tokens.access}, ${tokens.refresh}, ${connection.expiresAt}::timestamptz)
    on conflict (zone_id, subject_id, provider_id) where status = 'active' do update set
      access_token_ct = excluded.access_token_ct,
      refresh_token_ct = excluded.refresh_token_ct,
      expires_at = excluded.expires_at,
      refreshed_at = null,
      refresh_token_version = provider_connections.refresh_token_version + 1,
      updated_at = now()
    returning ${columns(tx)}`
  if (row === undefined) throw new Error('upsert returned no row')
  return row
}

/** Revokes the active connection and hands out its sealed tokens once more, to revoke them upstream. */
export async function revokeConnection(
  tx: Tx,
  zoneId: string,
  subjectId: string,
  providerId: string,
): Promise<{ readonly connection: Connection; readonly tokens: SealedTokens } | null> {
  const [row] = await tx.sql<(Connection & { access: Buffer | null; refresh: Buffer | null })[]>`
    update provider_connections set status = 'revoked', updated_at = now()
    where zone_id = ${zoneId} and subject_id = ${subjectId} and provider_id = ${providerId} and status = 'active'
    returning ${columns(tx)}, access_token_ct as access, refresh_token_ct as refresh`
  if (row === undefined) return null
  const { access, refresh, ...connection } = row
  return { connection, tokens: { access, refresh } }
}
