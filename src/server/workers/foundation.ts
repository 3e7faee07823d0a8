/** What workers share and one process does for them: ports that are free, the embedded store, the schema. */
import type { Logger } from 'pino'
import type { Settings } from '../../config/env.ts'
import { connect } from '../../platform/db/connection.ts'
import type { EmbeddedConnection } from '../../platform/embedded/port.ts'
import type { RoleName } from '../../platform/role.ts'
import { assertPortFree } from '../listener.ts'
import { planListeners } from '../plan-listeners.ts'
import { ensureSchema } from '../schema.ts'
import { openStore, type Store, withStore } from '../store.ts'

export interface Foundation extends AsyncDisposable {
  readonly store: Store
  /** The embedded store as workers reach it. */
  readonly connection: EmbeddedConnection | null
}

/** Pools of a process with all roles: one for each way of planning. */
const poolsOfAProcess = 2
/** Listening connections of a process. */
const besidesPools = 6
/** The primary, commands of the operator, and what Postgres keeps for itself. */
const ownConnections = 20

export async function layFoundation(
  settings: Settings,
  roles: readonly RoleName[],
  workers: number,
  log: Logger,
  signal: AbortSignal,
): Promise<Foundation> {
  for (const plan of planListeners(settings, roles)) await assertPortFree(plan)
  const connections = workers * (poolsOfAProcess * settings.DB_POOL_MAX + besidesPools) + ownConnections
  const store = await openStore(settings, roles, log, { connections })
  try {
    signal.throwIfAborted()
    const variable = store.variable(roles[0] ?? 'control')
    await withStore(variable, settings.SHUTDOWN_GRACE_MS, log, () =>
      ensureSchema(settings, roles, store, log, signal),
    )
    signal.throwIfAborted()
    if (!store.embedded) await warnOfFewConnections(store, settings, workers, connections, log)
    return {
      store,
      connection: store.connection,
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    }
  } catch (error) {
    await store[Symbol.asyncDispose]()
    throw error
  }
}

/** Each worker has pools of its own; under load a server that takes fewer connections refuses some. */
async function warnOfFewConnections(
  store: Store,
  settings: Settings,
  workers: number,
  wanted: number,
  log: Logger,
): Promise<void> {
  const { sql } = connect(
    store.owner,
    { applicationName: 'caracal-probe', statementTimeoutMs: 10_000, idleInTransactionTimeoutMs: 10_000 },
    { max: 1, connectTimeoutMs: settings.DB_CONNECTION_TIMEOUT_MS, idleTimeoutMs: 0 },
  )
  try {
    const [row] = await sql<{ most: number }[]>`select current_setting('max_connections')::int as most`
    if (row !== undefined && row.most < wanted)
      log.warn(
        { workers, max_connections: row.most, wanted },
        'the workers may want more connections than Postgres takes: lower DB_POOL_MAX, which is for each worker',
      )
  } finally {
    await sql.end({ timeout: 1 })
  }
}
