/**
 * Sessions of the web console (storage-and-operations §9.3): found by the keyed hash of their secret, which is
 * itself stored nowhere. A session is as good as what it was opened with, so every read joins that.
 */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import type { StoredAdminToken } from './admin-tokens.ts'
import type { ConsoleAccount } from './console-accounts.ts'

export interface ConsoleSession {
  readonly id: string
  readonly expiresAt: Date
  readonly token: Omit<StoredAdminToken, 'token_hash'> | null
  readonly account: ConsoleAccount | null
}

/** By the unique index on the hash: one row with its live token or its account; both `null` = the token is revoked. */
export async function findConsoleSession(db: Queryable, hash: string): Promise<ConsoleSession | null> {
  const [row] = await db.sql<ConsoleSession[]>`
    select s.id, s.expires_at as "expiresAt",
      case when t.id is not null then jsonb_build_object(
        'id', t.id, 'name', t.name, 'scope', t.scope, 'zone_id', t.zone_id, 'capability', t.capability,
        'created_by', t.created_by) end as token,
      case when a.id is not null then jsonb_build_object(
        'id', a.id, 'email', a.email, 'verified', a.verified_at is not null) end as account
    from console_sessions s
    left join admin_tokens t on t.id = s.admin_token_id and t.revoked_at is null
    left join console_accounts a on a.id = s.account_id
    where s.token_hash = ${hash} and s.revoked_at is null and s.expires_at > now()`
  return row ?? null
}

/** Opens a session of `seconds`, a time that nothing extends. */
export async function insertConsoleSession(
  db: Queryable,
  session: {
    readonly id: string
    readonly hash: string
    readonly tokenId: string | null
    readonly accountId: string | null
    readonly seconds: number
  },
): Promise<void> {
  await db.sql`
    insert into console_sessions (id, token_hash, account_id, admin_token_id, expires_at)
    values (${session.id}, ${session.hash}, ${session.accountId}, ${session.tokenId},
            now() + make_interval(secs => ${session.seconds}))`
}

export async function revokeConsoleSession(db: Queryable, id: string): Promise<void> {
  await db.sql`update console_sessions set revoked_at = now() where id = ${id} and revoked_at is null`
}

/** The session whose secret has this hash, if it is one. */
export async function revokeConsoleSessionOf(db: Queryable, hash: string): Promise<void> {
  await db.sql`
    update console_sessions set revoked_at = now() where token_hash = ${hash} and revoked_at is null`
}

/** Whose sessions: those of an admin token or of an account. */
export interface SessionOwner {
  readonly tokenId: string | null
  readonly accountId: string | null
}

export interface ListedSession {
  readonly id: string
  readonly created_at: Date
  readonly expires_at: Date
}

const liveOf = ({ sql }: Queryable, { tokenId, accountId }: SessionOwner) => sql`
  (account_id = ${accountId} or admin_token_id = ${tokenId}) and revoked_at is null and expires_at > now()`

/** The live sessions of one operator, newest first; a person has few. */
export async function listConsoleSessions(db: Queryable, owner: SessionOwner): Promise<ListedSession[]> {
  return await db.sql<ListedSession[]>`
    select id, created_at, expires_at from console_sessions
    where ${liveOf(db, owner)}
    order by created_at desc, id desc
    limit 100`
}

/** True when it was a live session of this operator. */
export async function revokeOwnSession(db: Queryable, owner: SessionOwner, id: string): Promise<boolean> {
  const rows = await db.sql`
    update console_sessions set revoked_at = now() where id = ${id} and ${liveOf(db, owner)} returning id`
  return rows.length > 0
}

/** Ends every session of an account, or every one but `exceptId`. */
export async function revokeAccountSessions(
  tx: Tx,
  accountId: string,
  exceptId: string | null,
): Promise<void> {
  await tx.sql`
    update console_sessions set revoked_at = now()
    where account_id = ${accountId} and id is distinct from ${exceptId} and revoked_at is null`
}

/** By the index on the end; a revoked session comes to its own within a week too. */
export async function deleteEndedSessions(tx: Tx, limit: number): Promise<number> {
  const rows = await tx.sql`
    delete from console_sessions
    where id in (select id from console_sessions where expires_at < now() limit ${limit} for update skip locked)
    returning id`
  return rows.length
}
