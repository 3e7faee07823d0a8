/** The schema before serving: applied in dev, only looked at otherwise (storage-and-operations §7.1). */
import type { Logger } from 'pino'
import type { Settings } from '../config/env.ts'
import { type ConnectionTarget, connect } from '../platform/db/connection.ts'
import { migrate } from '../platform/db/migrate.ts'
import type { Queryable } from '../platform/db/port.ts'
import { probeSchema, SchemaBehind, waitForSchema } from '../platform/db/probe.ts'
import type { RoleName } from '../platform/role.ts'
import type { Store } from './store.ts'

/** True when this process applies migrations at start. */
function migratesAtStart(settings: Settings, roles: readonly RoleName[], store: Store): boolean {
  return store.embedded || (settings.CARACAL_MODE === 'dev' && roles.includes('control'))
}

/** Rejects with `SchemaBehind` when the store lacks what these roles need. */
export async function ensureSchema(
  settings: Settings,
  roles: readonly RoleName[],
  store: Store,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  if (migratesAtStart(settings, roles, store)) {
    const applied = await migrate(store.owner, { log, connectAttempts: 1, signal })
    if (applied.length > 0) log.info({ applied: applied.length }, 'schema migrated')
  }
  for (const [target, using] of byTarget(roles, store)) {
    const { sql } = connect(
      target,
      { applicationName: 'caracal-probe', statementTimeoutMs: 10_000, idleInTransactionTimeoutMs: 10_000 },
      { max: 4, connectTimeoutMs: settings.DB_CONNECTION_TIMEOUT_MS, idleTimeoutMs: 0 },
    )
    try {
      await probe({ sql }, using, settings, log, signal)
    } finally {
      await sql.end({ timeout: 1 })
    }
  }
}

/**
 * A process with role control is told at once: nobody else migrates for it. Other roles may be
 * started together with the migration, so they wait.
 */
async function probe(
  db: Pick<Queryable, 'sql'>,
  roles: readonly RoleName[],
  settings: Settings,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  try {
    await probeSchema(db, roles)
  } catch (error) {
    if (!(error instanceof SchemaBehind) || roles.includes('control') || settings.SCHEMA_WAIT_MS === 0)
      throw error
    log.warn({ reason: error.message, wait_ms: settings.SCHEMA_WAIT_MS }, 'waiting for the schema')
    await waitForSchema(db, roles, { timeoutMs: settings.SCHEMA_WAIT_MS, signal })
  }
}

function byTarget(roles: readonly RoleName[], store: Store): Map<ConnectionTarget, RoleName[]> {
  const groups = new Map<ConnectionTarget, RoleName[]>()
  for (const role of roles) {
    const target = store.target(role)
    groups.set(target, [...(groups.get(target) ?? []), role])
  }
  return groups
}
