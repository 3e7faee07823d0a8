/**
 * The Postgres of this process: the configured one, or the embedded one that lives and
 * dies with the server.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Settings } from '../config/env.ts'
import { ConfigError, databaseUrl, usesEmbeddedStore } from '../config/load.ts'
import type { ConnectionTarget } from '../platform/db/connection.ts'
import { LoginBypassesRowSecurity } from '../platform/db/session-role.ts'
import { isUnavailable, sqlState } from '../platform/db/unavailable.ts'
import type { EmbeddedConnection } from '../platform/embedded/port.ts'
import { startEmbeddedPostgres } from '../platform/embedded/start.ts'
import type { RoleName } from '../platform/role.ts'

export interface Store extends AsyncDisposable {
  readonly embedded: boolean
  /** Where a role works. */
  target(role: RoleName): ConnectionTarget
  /** The embedded store, for processes that share it. */
  readonly connection: EmbeddedConnection | null
  /** Where migrations run, as the owner of the tables. */
  readonly owner: ConnectionTarget
  /** The variable to look at when `target` does not answer. */
  variable(role: RoleName): string
  /** Settles only when the embedded store is gone for good. */
  readonly failed: Promise<Error>
  /** Asks the embedded store to stop and does not wait: for a process that must leave now. */
  abandon(): void
}

/** A dependency that did not answer in time; the message names its variable. */
export class DependencyUnreachable extends Error {
  override readonly name = 'DependencyUnreachable'
}

/** What the embedded Postgres takes by itself. */
const usualConnections = 100

/** Starts the embedded Postgres when some role needs it, for at least so many `connections`. */
export async function openStore(
  settings: Settings,
  roles: readonly RoleName[],
  log: Logger,
  { connections = 0 }: { readonly connections?: number } = {},
): Promise<Store> {
  if (!usesEmbeddedStore(settings, roles)) return configuredStore(settings, roles)
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<Error>((resolve) => {
    fail = resolve
  })
  const postgres = await startEmbeddedPostgres({
    dataDir: settings.CARACAL_DATA_DIR,
    log: log.child({ component: 'embedded_store' }),
    onFailure: (error) => fail(error),
    ...(connections > usualConnections ? { settings: { max_connections: String(connections) } } : {}),
  })
  return {
    ...embeddedStore(settings, postgres.connection),
    failed,
    abandon: () => postgres.abandon(),
    [Symbol.asyncDispose]: () => postgres[Symbol.asyncDispose](),
  }
}

/** The store of a worker: nothing of it is the worker's to start or to stop. */
export function storeOfPrimary(
  settings: Settings,
  roles: readonly RoleName[],
  connection: EmbeddedConnection | null,
): Store {
  return connection === null ? configuredStore(settings, roles) : embeddedStore(settings, connection)
}

const nothingToEnd = {
  failed: new Promise<Error>(() => {}),
  abandon: () => {},
  [Symbol.asyncDispose]: async () => {},
}

function configuredStore(settings: Settings, roles: readonly RoleName[]): Store {
  const target = (role: RoleName): string => databaseUrl(settings, role) ?? ''
  const configured = settings.MIGRATION_DATABASE_URL ?? settings.DATABASE_URL
  return {
    embedded: false,
    connection: null,
    target,
    owner: configured ?? (roles[0] === undefined ? '' : target(roles[0])),
    variable: (role) => urlVariable(settings, role),
    ...nothingToEnd,
  }
}

/** One object for all roles: who shares a target shares a pool. */
function embeddedStore(settings: Settings, connection: EmbeddedConnection): Store {
  return {
    embedded: true,
    connection,
    target: (role) => databaseUrl(settings, role) ?? connection,
    owner: connection,
    variable: (role) => urlVariable(settings, role),
    ...nothingToEnd,
  }
}

function urlVariable(settings: Settings, role: RoleName): string {
  const own = `${role.toUpperCase() as Uppercase<RoleName>}_DATABASE_URL` as const
  return settings[own] === null ? 'DATABASE_URL' : own
}

/**
 * Runs `work` until the store answers, for at most `patienceMs`. What cannot get better by
 * waiting (a refused login, one that may do too much, a database that does not exist) fails at once.
 */
export async function withStore<T>(
  variable: string,
  patienceMs: number,
  log: Logger,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = Date.now() + patienceMs
  for (let told = false; ; told = true) {
    try {
      return await work()
    } catch (error) {
      if (error instanceof LoginBypassesRowSecurity) throw new ConfigError([`${variable}: ${error.message}`])
      const state = sqlState(error)
      if (state !== null && /^(?:28|3D)/.test(state))
        throw new DependencyUnreachable(
          `${variable}: Postgres refused the login (${(error as Error).message})`,
        )
      if (!isUnavailable(error)) throw error
      if (Date.now() >= deadline)
        throw new DependencyUnreachable(`${variable}: Postgres cannot be reached (${reasonOf(error)})`)
      if (!told) log.warn({ dependency: 'postgres', reason: reasonOf(error) }, 'waiting for a dependency')
      await sleep(Math.min(500, Math.max(1, deadline - Date.now())))
    }
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown }
  return typeof code === 'string' ? code : typeof message === 'string' ? message : 'no answer'
}
