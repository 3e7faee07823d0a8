/** Providers (gateway §22.1). `config_json` holds public settings only; `secret_config_keys` names what is sealed. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { ProviderKind } from '../provider-config.ts'
import type { Attribution } from '../route.ts'
import { firstFree } from '../slug.ts'
import { archiveLive, findLive, identifiersStartingWith, lockLive } from './definitions.ts'
import { keyset, type Page, type PageQuery } from './page.ts'

export interface Provider {
  readonly id: string
  readonly zone_id: string
  readonly name: string
  readonly identifier: string
  readonly kind: ProviderKind
  readonly config_json: Readonly<Record<string, unknown>>
  readonly secret_config_keys: readonly string[]
  readonly connectivity_failed_at: Date | null
  readonly created_by: string | null
  readonly created_via_operator: boolean
  readonly updated_by: string | null
  readonly updated_via_operator: boolean
  readonly created_at: Date
  readonly updated_at: Date
  readonly archived_at: Date | null
}

const columns = ({ sql }: Queryable) => sql`
  id, zone_id, name, identifier, provider_kind as kind, config_json, secret_config_keys, connectivity_failed_at,
  created_by, created_via_operator, updated_by, updated_via_operator, created_at, updated_at, archived_at`

export async function listProviders(
  db: Queryable,
  zoneId: string,
  status: 'active' | 'archived',
  query: PageQuery,
): Promise<Page<Provider>> {
  const { sql } = db
  const keys = keyset(sql, query, ['providers', zoneId, status])
  const rows = await plannedForItsValues(sql<(Provider & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position}
    from providers
    where zone_id = ${zoneId}
      and archived_at is ${status === 'active' ? sql`null` : sql`not null`}
      and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

export const findProvider = (db: Queryable, zoneId: string, id: string): Promise<Provider | null> =>
  findLive(db, 'providers', columns, zoneId, id)

export const lockProvider = (tx: Tx, zoneId: string, id: string): Promise<Provider | null> =>
  lockLive(tx, 'providers', columns, zoneId, id)

export const providerIdentifiersStartingWith = (db: Queryable, zoneId: string, base: string) =>
  identifiersStartingWith(db, 'providers', zoneId, base)

export interface NewProvider {
  readonly id: string
  readonly zoneId: string
  readonly name: string
  readonly identifier: string
  readonly kind: ProviderKind
  readonly config: Readonly<Record<string, unknown>>
  readonly secretKeys: readonly string[]
  /** Not checked against its upstream yet. */
  readonly unverified: boolean
}

/** Inserts the provider; `null` when the identifier is taken by an active one. */
export async function insertProvider(
  tx: Tx,
  provider: NewProvider,
  by: Attribution,
): Promise<Provider | null> {
  const { sql } = tx
  const [row] = await sql<Provider[]>`
    insert into providers
      (id, zone_id, name, identifier, provider_kind, config_json, secret_config_keys, connectivity_failed_at,
       created_by, created_via_operator, updated_by, updated_via_operator)
    values
      (${provider.id}, ${provider.zoneId}, ${provider.name}, ${provider.identifier}, ${provider.kind},
       ${JSON.stringify(provider.config)}::jsonb, ${provider.secretKeys as string[]}::text[],
       ${provider.unverified ? sql`now()` : null},
       ${by.by}, ${by.viaOperator}, ${by.by}, ${by.viaOperator})
    on conflict (zone_id, identifier) where archived_at is null do nothing
    returning ${columns(tx)}`
  return row ?? null
}

export interface ProviderChange {
  readonly name: string
  readonly identifier: string
  readonly kind: ProviderKind
  readonly config: Readonly<Record<string, unknown>>
  readonly secretKeys: readonly string[]
  readonly clearFailure: boolean
}

/** Writes the whole new state of a locked provider. */
export async function updateProvider(
  tx: Tx,
  zoneId: string,
  id: string,
  change: ProviderChange,
  by: Attribution,
): Promise<Provider> {
  const { sql } = tx
  const [row] = await sql<Provider[]>`
    update providers set
      name = ${change.name},
      identifier = ${change.identifier},
      provider_kind = ${change.kind},
      config_json = ${JSON.stringify(change.config)}::jsonb,
      secret_config_keys = ${change.secretKeys as string[]}::text[],
      connectivity_failed_at = ${change.clearFailure ? null : sql`connectivity_failed_at`},
      updated_by = ${by.by},
      updated_via_operator = ${by.viaOperator},
      updated_at = now()
    where zone_id = ${zoneId} and id = ${id}
    returning ${columns(tx)}`
  if (row === undefined) throw new Error('a locked provider cannot vanish')
  return row
}

/** True when it was live and is now archived. */
export const archiveProvider = (tx: Tx, zoneId: string, id: string, by: Attribution): Promise<boolean> =>
  archiveLive(tx, 'providers', zoneId, id, by)

/** Records whether the last connectivity check passed. */
export async function recordProviderCheck(
  db: Queryable,
  zoneId: string,
  id: string,
  passed: boolean,
): Promise<void> {
  const { sql } = db
  await sql`
    update providers set connectivity_failed_at = ${passed ? null : sql`now()`}
    where zone_id = ${zoneId} and id = ${id} and archived_at is null`
}

const noneProviderPrefix = 'provider-none-'

export const isNoneProvider = (id: unknown): boolean =>
  typeof id === 'string' && id.startsWith(noneProviderPrefix)

/**
 * The zone's built-in provider without a credential, made on demand (control-api §7.9). Returns its id.
 * A provider that somebody called "None" keeps its identifier; the built-in one takes the next free.
 */
export async function ensureNoneProvider(tx: Tx, zoneId: string, by: Attribution): Promise<string> {
  const id = `${noneProviderPrefix}${zoneId}`
  const base = 'provider://none'
  const others = await tx.sql<{ identifier: string }[]>`
    select identifier from providers
    where zone_id = ${zoneId} and id <> ${id} and archived_at is null
      and (identifier = ${base} or starts_with(identifier, ${`${base}-`}))`
  const identifier = firstFree(base, new Set(others.map((row) => row.identifier)))
  await tx.sql`
    insert into providers
      (id, zone_id, name, identifier, provider_kind, created_by, created_via_operator, updated_by, updated_via_operator)
    values
      (${id}, ${zoneId}, 'No credential', ${identifier}, 'none',
       ${by.by}, ${by.viaOperator}, ${by.by}, ${by.viaOperator})
    on conflict (id) do update
    set archived_at = null,
        updated_at = now(),
        identifier = case when providers.archived_at is null then providers.identifier
                          else excluded.identifier end`
  return id
}
