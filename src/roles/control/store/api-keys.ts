/** API keys (control-api §12.4): a key acts as its account, narrowed by its own rules and zone. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { Rule } from '../rbac/rules.ts'
import { given, keyset, type Page, type PageQuery } from './page.ts'
import type { IamZone } from './service-accounts.ts'

export interface ApiKey {
  readonly id: string
  readonly name: string
  readonly prefix: string
  readonly zone_id: string | null
  readonly service_account_id: string
  readonly rules: readonly Rule[] | null
  readonly expires_at: Date | null
  readonly last_used_at: Date | null
  readonly revoked_at: Date | null
  readonly previous_valid_until: Date | null
  readonly created_by: string
  readonly created_at: Date
}

export interface StoredApiKey {
  readonly id: string
  readonly name: string
  readonly zone_id: string | null
  readonly service_account_id: string
  readonly rules: readonly Rule[] | null
  readonly secret_hash: string
  /** Only while it is still accepted. */
  readonly previous_hash: string | null
  readonly expires_at: Date | null
  readonly account_zone_id: string | null
  readonly account_name: string
}

const columns = ({ sql }: Queryable) => sql`
  id, name, prefix, zone_id, service_account_id, rules, expires_at, last_used_at, revoked_at,
  previous_valid_until, created_by, created_at`

const inZone = ({ sql }: Queryable, zone: IamZone) =>
  zone === undefined ? sql`true` : sql`zone_id = ${zone}`

export async function listApiKeys(
  db: Queryable,
  zone: IamZone,
  filters: { readonly service_account_id?: string | undefined },
  query: PageQuery,
): Promise<Page<ApiKey>> {
  const { sql } = db
  const keys = keyset(sql, query, ['api_keys', zone ?? null, filters])
  const rows = await plannedForItsValues(sql<(ApiKey & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position} from api_keys
    where ${inZone(db, zone)}
      and ${given(sql, filters.service_account_id, (value) => sql`service_account_id = ${value}`)}
      and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

/** A key that is not revoked. */
export async function findApiKey(db: Queryable, zone: IamZone, id: string): Promise<ApiKey | null> {
  const [row] = await db.sql<ApiKey[]>`
    select ${columns(db)} from api_keys where id = ${id} and revoked_at is null and ${inZone(db, zone)}`
  return row ?? null
}

/** A key that may be used now: neither revoked nor expired, of an active account. */
export async function findUsableKey(db: Queryable, id: string): Promise<StoredApiKey | null> {
  const [row] = await db.sql<StoredApiKey[]>`
    select k.id, k.name, k.zone_id, k.service_account_id, k.rules, k.secret_hash, k.expires_at,
      case when k.previous_valid_until > now() then k.previous_hash end as previous_hash,
      s.zone_id as account_zone_id, s.username as account_name
    from api_keys k
    join service_accounts s on s.id = k.service_account_id
    where k.id = ${id}
      and k.revoked_at is null
      and (k.expires_at is null or k.expires_at > now())
      and s.status = 'active'`
  return row ?? null
}

export async function insertApiKey(
  tx: Tx,
  key: {
    readonly id: string
    readonly name: string
    readonly prefix: string
    readonly zoneId: string | null
    readonly accountId: string
    readonly rules: readonly Rule[] | null
    readonly secretHash: string
    readonly expiresAt: string | null
    readonly by: string
  },
): Promise<ApiKey> {
  const rules = key.rules === null ? null : JSON.stringify(key.rules)
  const [row] = await tx.sql<ApiKey[]>`
    insert into api_keys (id, name, prefix, zone_id, service_account_id, rules, secret_hash, expires_at, created_by)
    values (${key.id}, ${key.name}, ${key.prefix}, ${key.zoneId}, ${key.accountId}, ${rules}::jsonb,
            ${key.secretHash}, ${key.expiresAt}::timestamptz, ${key.by})
    returning ${columns(tx)}`
  if (row === undefined) throw new Error('insert returned no row')
  return row
}

/** The old secret goes on for `graceSeconds`. */
export async function rotateApiKey(
  tx: Tx,
  zone: IamZone,
  id: string,
  secretHash: string,
  graceSeconds: number,
): Promise<ApiKey | null> {
  const [row] = await tx.sql<ApiKey[]>`
    update api_keys set
      previous_hash = secret_hash,
      previous_valid_until = now() + make_interval(secs => ${graceSeconds}::int),
      secret_hash = ${secretHash}
    where id = ${id} and revoked_at is null and ${inZone(tx, zone)}
    returning ${columns(tx)}`
  return row ?? null
}

export async function revokeApiKey(tx: Tx, zone: IamZone, id: string): Promise<boolean> {
  const rows = await tx.sql`
    update api_keys set revoked_at = now()
    where id = ${id} and revoked_at is null and ${inZone(tx, zone)}
    returning id`
  return rows.length > 0
}

export async function touchApiKey(db: Queryable, id: string): Promise<void> {
  await db.sql`update api_keys set last_used_at = now() where id = ${id}`
}
