/**
 * Applies `drizzle/NNNN_name.up.sql` in name order: forward only, one transaction for each file,
 * one runner at a time (storage-and-operations §7.1).
 */

import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type postgres from 'postgres'
import { lockMigrations } from './advisory-locks.ts'
import { type ConnectionTarget, connect } from './connection.ts'
import { isUnavailable } from './unavailable.ts'

/** The same place seen from `src` and from `dist`. */
const migrationsDirectory = new URL('../../../drizzle/', import.meta.url)

export interface MigrateOptions {
  readonly log: Pick<Logger, 'info' | 'warn'>
  /** Attempts to reach the server, one second apart; default 30. */
  readonly connectAttempts?: number
  readonly signal?: AbortSignal
}

export interface MigrationState {
  readonly version: string
  /** Null: pending. */
  readonly appliedAt: Date | null
}

/** The text of a version. */
export function migrationFile(version: string): URL {
  return new URL(`${version}.up.sql`, migrationsDirectory)
}

/** The versions this build was made for, in order. */
export async function buildVersions(): Promise<string[]> {
  const names = await readdir(migrationsDirectory)
  return names
    .filter((name) => name.endsWith('.up.sql'))
    .map((name) => {
      if (!/^[0-9]{4}_[A-Za-z0-9_]+\.up\.sql$/.test(name)) {
        throw new Error(`migration file name not allowed: ${name}`)
      }
      return name.slice(0, -'.up.sql'.length)
    })
    .sort()
}

/** Brings the schema to this build and answers the versions it applied; none when it was current. */
export async function migrate(connection: ConnectionTarget, options: MigrateOptions): Promise<string[]> {
  const sql = openOwner(connection, (message) => options.log.info({ notice: message }, 'migration_notice'))
  try {
    await reach(sql, options)
    const applied: string[] = []
    for (const version of await buildVersions()) {
      if (await applyOne(sql, version)) {
        applied.push(version)
        options.log.info({ migration: version }, 'migration_applied')
      }
    }
    return applied
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/** What is applied and what is pending, versions unknown to this build included. */
export async function migrationStatus(
  connection: ConnectionTarget,
  options: MigrateOptions,
): Promise<MigrationState[]> {
  const sql = openOwner(connection, () => undefined)
  try {
    await reach(sql, options)
    const applied = await appliedVersions(sql)
    const versions = new Set([...(await buildVersions()), ...applied.keys()])
    return [...versions].sort().map((version) => ({ version, appliedAt: applied.get(version) ?? null }))
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/** Versions recorded in the store; empty when it has no schema. */
export async function appliedVersions(sql: postgres.ISql): Promise<Map<string, Date>> {
  const [present] = await sql<{ present: boolean }[]>`
    select to_regclass('schema_migrations') is not null as present`
  if (!present?.present) return new Map()
  const rows = await sql<{ version: string; applied_at: Date }[]>`
    select version, applied_at
    from schema_migrations
    order by version`
  return new Map(rows.map((row) => [row.version, row.applied_at]))
}

function openOwner(connection: ConnectionTarget, onNotice: (message: string) => void): postgres.Sql {
  return connect(
    connection,
    { applicationName: 'caracal-migrate', statementTimeoutMs: 0, idleInTransactionTimeoutMs: 0 },
    { max: 1, connectTimeoutMs: 5000, idleTimeoutMs: 0, onNotice },
  ).sql
}

async function reach(sql: postgres.Sql, options: MigrateOptions): Promise<void> {
  const attempts = options.connectAttempts ?? 30
  for (let attempt = 1; ; attempt += 1) {
    try {
      await sql`select 1`
      return
    } catch (error) {
      if (attempt >= attempts || !isUnavailable(error)) throw error
      options.log.warn(
        { attempt, attempts, code: (error as { code?: unknown }).code },
        'database_not_reachable',
      )
      await sleep(1000, undefined, options.signal ? { signal: options.signal } : {})
    }
  }
}

/** True when this call applied the version; false when it was there already. */
async function applyOne(sql: postgres.Sql, version: string): Promise<boolean> {
  const text = await readFile(migrationFile(version), 'utf8')
  return (await sql.begin(async (tx) => {
    await lockMigrations({ sql: tx })
    if ((await appliedVersions(tx)).has(version)) return false
    await tx.unsafe(text).simple()
    await tx`insert into schema_migrations (version) values (${version})`
    return true
  })) as boolean
}
