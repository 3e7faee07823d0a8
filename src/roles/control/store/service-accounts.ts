/** Service accounts (storage-and-operations §3.1, IAM tables). Statements run at `*` and name the zone themselves. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { Binding, Rule } from '../rbac/rules.ts'
import { given, keyset, type Page, type PageQuery } from './page.ts'

export interface ServiceAccount {
  readonly id: string
  readonly zone_id: string | null
  readonly username: string
  readonly display_name: string | null
  readonly status: 'active' | 'inactive'
  readonly last_login_at: Date | null
  readonly password_changed_at: Date
  readonly created_by: string
  readonly created_at: Date
  readonly updated_by: string | null
  readonly updated_at: Date
}

export interface AccountSecret {
  readonly id: string
  readonly zone_id: string | null
  readonly username: string
  readonly status: 'active' | 'inactive'
  readonly password_hash: string
  readonly token_version: number
}

/** Which rows a base may see: `undefined` = all, else only those of the zone. */
export type IamZone = string | undefined

const columns = ({ sql }: Queryable) => sql`
  id, zone_id, username, display_name, status, last_login_at, password_changed_at,
  created_by, created_at, updated_by, updated_at`

const inZone = ({ sql }: Queryable, zone: IamZone) =>
  zone === undefined ? sql`true` : sql`zone_id = ${zone}`

export async function listServiceAccounts(
  db: Queryable,
  zone: IamZone,
  filters: { readonly status?: string | undefined },
  query: PageQuery,
): Promise<Page<ServiceAccount>> {
  const { sql } = db
  const keys = keyset(sql, query, ['service_accounts', zone ?? null, filters])
  const rows = await plannedForItsValues(sql<(ServiceAccount & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position} from service_accounts
    where ${inZone(db, zone)}
      and ${given(sql, filters.status, (value) => sql`status = ${value}`)}
      and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

export async function findServiceAccount(
  db: Queryable,
  zone: IamZone,
  id: string,
): Promise<ServiceAccount | null> {
  const [row] = await db.sql<ServiceAccount[]>`
    select ${columns(db)} from service_accounts where id = ${id} and ${inZone(db, zone)}`
  return row ?? null
}

export async function findAccountByName(db: Queryable, username: string): Promise<AccountSecret | null> {
  const [row] = await db.sql<AccountSecret[]>`
    select id, zone_id, username, status, password_hash, token_version
    from service_accounts where username = ${username}`
  return row ?? null
}

export async function findAccountSecret(db: Queryable, id: string): Promise<AccountSecret | null> {
  const [row] = await db.sql<AccountSecret[]>`
    select id, zone_id, username, status, password_hash, token_version from service_accounts where id = ${id}`
  return row ?? null
}

export async function insertServiceAccount(
  tx: Tx,
  account: {
    readonly id: string
    readonly zoneId: string | null
    readonly username: string
    readonly displayName: string | null
    readonly passwordHash: string
    readonly status: 'active' | 'inactive'
    readonly by: string
  },
): Promise<ServiceAccount | null> {
  const [row] = await tx.sql<ServiceAccount[]>`
    insert into service_accounts
      (id, zone_id, username, display_name, password_hash, status, created_by, updated_by)
    values
      (${account.id}, ${account.zoneId}, ${account.username}, ${account.displayName}, ${account.passwordHash},
       ${account.status}, ${account.by}, ${account.by})
    on conflict (username) do nothing
    returning ${columns(tx)}`
  return row ?? null
}

/** Changes the given fields; turning an account off ends its tokens. */
export async function updateServiceAccount(
  tx: Tx,
  zone: IamZone,
  id: string,
  patch: { readonly displayName?: string | undefined; readonly status?: 'active' | 'inactive' | undefined },
  by: string,
): Promise<ServiceAccount | null> {
  const [row] = await tx.sql<ServiceAccount[]>`
    update service_accounts set
      display_name = coalesce(${patch.displayName ?? null}, display_name),
      status = coalesce(${patch.status ?? null}, status),
      token_version = token_version + ${patch.status === 'inactive' ? 1 : 0},
      updated_by = ${by},
      updated_at = now()
    where id = ${id} and ${inZone(tx, zone)}
    returning ${columns(tx)}`
  return row ?? null
}

/** A new password ends every token of the account. */
export async function changePassword(tx: Tx, id: string, passwordHash: string, by: string): Promise<void> {
  await tx.sql`
    update service_accounts
    set password_hash = ${passwordHash}, token_version = token_version + 1, password_changed_at = now(),
      updated_by = ${by}, updated_at = now()
    where id = ${id}`
}

/** Deletes the account with its keys (cascade) and bindings. */
export async function deleteServiceAccount(tx: Tx, zone: IamZone, id: string): Promise<boolean> {
  const rows =
    await tx.sql`delete from service_accounts where id = ${id} and ${inZone(tx, zone)} returning id`
  if (rows.length === 0) return false
  await tx.sql`delete from role_bindings where subject_kind = 'service_account' and subject_id = ${id}`
  return true
}

export async function recordLogin(db: Queryable, id: string): Promise<void> {
  await db.sql`update service_accounts set last_login_at = now() where id = ${id}`
}

export async function countServiceAccounts(db: Queryable): Promise<number> {
  const [row] = await db.sql<{ n: number }[]>`select count(*)::int as n from service_accounts`
  return row?.n ?? 0
}

/** What the account's bindings grant, one entry per binding. */
export async function bindingsOf(
  db: Queryable,
  accountId: string,
  kind: 'service_account' | 'account' = 'service_account',
): Promise<Binding[]> {
  const rows = await db.sql<{ name: string; zone_id: string | null; rules: Rule[] }[]>`
    select r.name, b.zone_id, r.rules
    from role_bindings b
    join roles r on r.id = b.role_id
    where b.subject_kind = ${kind} and b.subject_id = ${accountId}`
  return rows.map((row) => ({ roleName: row.name, zoneId: row.zone_id, rules: row.rules }))
}
