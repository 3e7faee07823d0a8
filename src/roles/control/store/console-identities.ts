/** Accounts elsewhere that sign in to a console account: found by provider and subject, one of each provider. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import type { ConsoleAccount, ProvenAccount } from './console-accounts.ts'

export interface ConsoleIdentity {
  readonly provider: string
  readonly subject: string
  /** As it was when it was linked; to be shown, never to be looked up by. */
  readonly email: string | null
}

export interface LinkedIdentity {
  readonly provider: string
  readonly email: string | null
  readonly linked_at: Date
}

/** By the primary key: the account that this identity signs in to. */
export async function findAccountOfIdentity(
  db: Queryable,
  { provider, subject }: ConsoleIdentity,
): Promise<(ConsoleAccount & ProvenAccount) | null> {
  const [row] = await db.sql<(ConsoleAccount & ProvenAccount)[]>`
    select a.id, a.xmin::text as revision, a.email, a.verified_at is not null as verified
    from console_identities i
    join console_accounts a on a.id = i.account_id
    where i.provider = ${provider} and i.subject = ${subject}`
  return row ?? null
}

/** False when the identity is linked already, or the account has one of this provider. */
export async function insertIdentity(
  db: Queryable,
  accountId: string,
  { provider, subject, email }: ConsoleIdentity,
): Promise<boolean> {
  const rows = await db.sql`
    insert into console_identities (provider, subject, account_id, email)
    values (${provider}, ${subject}, ${accountId}, ${email})
    on conflict do nothing
    returning subject`
  return rows.length > 0
}

/** By the unique index on the account. */
export async function identitiesOf(db: Queryable, accountId: string): Promise<LinkedIdentity[]> {
  return await db.sql<LinkedIdentity[]>`
    select provider, email, created_at as linked_at
    from console_identities where account_id = ${accountId}
    order by provider`
}

export async function deleteIdentities(tx: Tx, accountId: string): Promise<void> {
  await tx.sql`delete from console_identities where account_id = ${accountId}`
}

export async function deleteIdentity(tx: Tx, accountId: string, provider: string): Promise<void> {
  await tx.sql`delete from console_identities where account_id = ${accountId} and provider = ${provider}`
}
