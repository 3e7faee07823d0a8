import { setTimeout as sleep } from 'node:timers/promises'
import { loadSettings } from '../config/load.ts'
import type { ConnectionTarget } from '../platform/db/connection.ts'
import { connect } from '../platform/db/connection.ts'
import { migrate as applyMigrations, type MigrationState, migrationStatus } from '../platform/db/migrate.ts'
import type { Sql } from '../platform/db/port.ts'
import { switchDrivers } from '../server/deployment.ts'
import { openStore } from '../server/store.ts'
import type { Invocation } from './command.ts'
import { whileTelling } from './progress.ts'
import { quietLogger } from './quiet-logger.ts'

/** Applies pending migrations (sdk-cli-console §12.5). Exit 3: `--status` found pending ones. */
export async function migrate({ arguments: { switches }, env, cwd, out }: Invocation): Promise<number> {
  const settings = loadSettings(env, { roles: [], cwd })
  const log = quietLogger((message) => out.status('warn', message))
  const json = switches.has('json')
  await using store = await openStore(settings, [], log)
  const { MIGRATION_CONNECT_RETRIES: retries, MIGRATION_CONNECT_SLEEP_SECONDS: pause } = settings
  await whileTelling(
    out,
    () => 'Postgres does not answer yet (MIGRATION_DATABASE_URL or DATABASE_URL)',
    () => reach(store.owner, retries, pause),
  )

  if (switches.has('status')) {
    const states = await migrationStatus(store.owner, { log, connectAttempts: 1 })
    const pending = states.filter((state) => state.appliedAt === null)
    if (json) out.line(JSON.stringify(describe(states)))
    else
      for (const { version, appliedAt } of states)
        out.line(
          appliedAt === null ? `pending  ${version}` : `applied  ${version}  ${appliedAt.toISOString()}`,
        )
    return pending.length === 0 ? 0 : 3
  }

  const applied = await whileTelling(
    out,
    () => 'migrating',
    () => applyMigrations(store.owner, { log, connectAttempts: 1 }),
  )
  if (switches.has('switch-bus'))
    await switchBus(store.owner, settings.REDIS_URL === null ? 'postgres' : 'redis')
  if (json) {
    out.line(JSON.stringify({ applied, up_to_date: true }))
    return 0
  }
  for (const version of applied) out.line(`applied ${version}`)
  if (switches.has('switch-bus'))
    out.line(`events and markers now go through ${settings.REDIS_URL === null ? 'Postgres' : 'Redis'}`)
  out.line('up to date')
  return 0
}

function describe(states: readonly MigrationState[]): object {
  return {
    applied: states.filter((one) => one.appliedAt !== null).map((one) => one.version),
    pending: states.filter((one) => one.appliedAt === null).map((one) => one.version),
  }
}

async function withOwner<T>(target: ConnectionTarget, work: (sql: Sql) => Promise<T>): Promise<T> {
  const { sql } = connect(
    target,
    { applicationName: 'caracal-migrate', statementTimeoutMs: 10_000, idleInTransactionTimeoutMs: 10_000 },
    { max: 1, connectTimeoutMs: 5000, idleTimeoutMs: 0 },
  )
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

function switchBus(target: ConnectionTarget, driver: 'redis' | 'postgres'): Promise<void> {
  return withOwner(target, (sql) => switchDrivers({ sql }, driver))
}

/** Waits for the server: `MIGRATION_CONNECT_RETRIES` tries, `MIGRATION_CONNECT_SLEEP_SECONDS` apart. */
async function reach(target: ConnectionTarget, retries: number, pauseSeconds: number): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await withOwner(target, (sql) => sql`select 1`)
      return
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      const refused = typeof code === 'string' && /^(?:28|3D)/.test(code)
      if (refused || attempt >= retries)
        throw new Error(
          `MIGRATION_DATABASE_URL or DATABASE_URL: Postgres ${refused ? `refused the login (${message})` : `cannot be reached (${code ?? message})`}`,
        )
      await sleep(pauseSeconds * 1000)
    }
  }
}
