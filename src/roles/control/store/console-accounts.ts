/** People who sign in to the console. The address is stored in lower case. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'

export interface ConsoleAccount {
  readonly id: string
  readonly email: string
  readonly verified: boolean
}

/** An account as it stood when somebody proved to be its owner. Whatever rests on the proof asks whether it still does. */
export interface ProvenAccount {
  readonly id: string
  /** Of the row: every change makes it another. */
  readonly revision: string
}

export interface ConsoleAccountSecret extends ConsoleAccount, ProvenAccount {
  readonly password_hash: string | null
  /** Nothing is linked to it but by its owner, signed in. */
  readonly links_by_hand: boolean
}

const secretColumns = ({ sql }: Queryable) =>
  sql`id, xmin::text as revision, email, verified_at is not null as verified, password_hash, links_by_hand`

export async function findConsoleAccount(db: Queryable, email: string): Promise<ConsoleAccountSecret | null> {
  const [row] = await db.sql<ConsoleAccountSecret[]>`
    select ${secretColumns(db)} from console_accounts where email = ${email}`
  return row ?? null
}

export async function findConsoleAccountById(
  db: Queryable,
  id: string,
): Promise<ConsoleAccountSecret | null> {
  const [row] = await db.sql<ConsoleAccountSecret[]>`
    select ${secretColumns(db)} from console_accounts where id = ${id}`
  return row ?? null
}

/** The same, locked: two changes of what it signs in with, or its end, wait for one another. */
export async function lockConsoleAccount(tx: Tx, id: string): Promise<ConsoleAccountSecret | null> {
  const [row] = await tx.sql<ConsoleAccountSecret[]>`
    select ${secretColumns(tx)} from console_accounts where id = ${id} for update`
  return row ?? null
}

/** By id, else by address. */
export async function findConsoleAccountId(
  db: Queryable,
  by: { readonly id: string | null; readonly email: string },
): Promise<string | null> {
  const [row] = await db.sql<{ id: string }[]>`
    select id from console_accounts
    where case when ${by.id}::text is null then email = ${by.email} else id = ${by.id} end`
  return row?.id ?? null
}

/** `null` when the address is taken. */
export async function insertConsoleAccount(
  db: Queryable,
  account: { readonly id: string; readonly email: string; readonly passwordHash: string },
): Promise<ProvenAccount | null> {
  const [row] = await db.sql<ProvenAccount[]>`
    insert into console_accounts (id, email, password_hash)
    values (${account.id}, ${account.email}, ${account.passwordHash})
    on conflict (email) do nothing
    returning id, xmin::text as revision`
  return row ?? null
}

/** One without a password, whose address somebody else has verified. `null` when the address is taken. */
export async function insertVouchedAccount(
  tx: Tx,
  account: { readonly id: string; readonly email: string },
): Promise<ProvenAccount | null> {
  const [row] = await tx.sql<ProvenAccount[]>`
    insert into console_accounts (id, email, verified_at)
    values (${account.id}, ${account.email}, now())
    on conflict (email) do nothing
    returning id, xmin::text as revision`
  return row ?? null
}

export async function linkByHand(tx: Tx, id: string): Promise<void> {
  await tx.sql`update console_accounts set links_by_hand = true, updated_at = now() where id = ${id}`
}

/** Whoever registers an address anew before anybody has verified it, says which password counts. */
export async function replaceUnverifiedPassword(
  db: Queryable,
  id: string,
  passwordHash: string,
): Promise<boolean> {
  const rows = await db.sql`
    update console_accounts set password_hash = ${passwordHash}, updated_at = now()
    where id = ${id} and verified_at is null
    returning id`
  return rows.length > 0
}

/** `null` when the account is another by now. */
export async function verifyConsoleAccount(tx: Tx, account: ProvenAccount): Promise<ProvenAccount | null> {
  const [row] = await tx.sql<ProvenAccount[]>`
    update console_accounts set verified_at = coalesce(verified_at, now()), updated_at = now()
    where id = ${account.id} and xmin::text = ${account.revision}
    returning id, xmin::text as revision`
  return row ?? null
}

/** `null` when the account is another by now. */
export async function setConsolePassword(
  tx: Tx,
  account: ProvenAccount,
  passwordHash: string,
): Promise<ProvenAccount | null> {
  const [row] = await tx.sql<ProvenAccount[]>`
    update console_accounts set password_hash = ${passwordHash}, updated_at = now()
    where id = ${account.id} and xmin::text = ${account.revision}
    returning id, xmin::text as revision`
  return row ?? null
}

/**
 * The account stays as it was proved until the transaction ends: no change of what it signs in with commits between
 * the proof and what rests on it. False when it is another by now, or gone.
 */
export async function holdProvenAccount(tx: Tx, { id, revision }: ProvenAccount): Promise<boolean> {
  const rows = await tx.sql`
    select 1 from console_accounts where id = ${id} and xmin::text = ${revision} for share`
  return rows.length > 0
}

/** The account cannot go until the transaction ends. False when it is gone. */
export async function holdConsoleAccount(tx: Tx, id: string): Promise<boolean> {
  const rows = await tx.sql`select 1 from console_accounts where id = ${id} for key share`
  return rows.length > 0
}

/** Forgets the account: its sessions (cascade), and its bindings, so that whoever registers the address next holds nothing of it. */
export async function deleteConsoleAccount(tx: Tx, id: string): Promise<void> {
  await tx.sql`delete from role_bindings where subject_kind = 'account' and subject_id = ${id}`
  await tx.sql`delete from console_accounts where id = ${id}`
}
