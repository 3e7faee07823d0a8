/** SQL over `provider_connections` (sts §10.5): stored upstream accounts of people, or of the whole zone. */
import type { Queryable } from '../../../platform/db/port.ts'

const sharedSubject = 'caracal:shared'

export interface Connection {
  readonly id: string
  readonly access_token_ct: Buffer | null
  readonly refresh_token_ct: Buffer | null
  /** Milliseconds since the epoch, `null` = never. */
  readonly expires_at: number | null
  readonly refresh_token_version: number
  /** Milliseconds since the epoch: the clock the expiry is judged by. */
  readonly now: number
}

/** The subject's own connection, else the shared one; newest first. */
export async function findConnection(
  db: Pick<Queryable, 'sql'>,
  zoneId: string,
  providerId: string,
  subjectId: string,
): Promise<Connection | null> {
  const [row] = await db.sql<Connection[]>`
    select id, access_token_ct, refresh_token_ct,
           (extract(epoch from expires_at) * 1000)::float8 as expires_at,
           refresh_token_version,
           (extract(epoch from now()) * 1000)::float8 as now
    from provider_connections
    where zone_id = ${zoneId}
      and provider_id = ${providerId}
      and status = 'active'
      and subject_id in (${subjectId}, ${sharedSubject})
    order by (subject_id = ${subjectId}) desc, updated_at desc
    limit 1`
  return row ?? null
}

/** The connection as it is now. */
export async function readConnection(
  db: Pick<Queryable, 'sql'>,
  zoneId: string,
  id: string,
): Promise<Connection | null> {
  const [row] = await db.sql<Connection[]>`
    select id, access_token_ct, refresh_token_ct,
           (extract(epoch from expires_at) * 1000)::float8 as expires_at,
           refresh_token_version,
           (extract(epoch from now()) * 1000)::float8 as now
    from provider_connections
    where id = ${id} and zone_id = ${zoneId} and status = 'active'`
  return row ?? null
}

/** Marks a connection whose token ended and cannot be renewed. */
export async function expireConnection(
  db: Pick<Queryable, 'sql'>,
  zoneId: string,
  id: string,
): Promise<void> {
  await db.sql`
    update provider_connections
    set status = 'expired', updated_at = now()
    where id = ${id} and zone_id = ${zoneId} and status = 'active' and expires_at <= now()`
}

export interface RefreshedTokens {
  readonly accessToken: Buffer
  readonly refreshToken: Buffer
  /** Seconds from now, `null` = never ends. */
  readonly lifetimeSeconds: number | null
}

/** Stores refreshed tokens if nobody else did since `version`. */
export async function storeRefreshed(
  db: Pick<Queryable, 'sql'>,
  zoneId: string,
  id: string,
  version: number,
  tokens: RefreshedTokens,
): Promise<boolean> {
  const rows = await db.sql`
    update provider_connections
    set access_token_ct = ${tokens.accessToken},
        refresh_token_ct = ${tokens.refreshToken},
        expires_at = now() + make_interval(secs => ${tokens.lifetimeSeconds}::float8),
        refreshed_at = now(),
        updated_at = now(),
        refresh_token_version = refresh_token_version + 1
    where id = ${id}
      and zone_id = ${zoneId}
      and status = 'active'
      and refresh_token_version = ${version}
    returning id`
  return rows.length === 1
}
