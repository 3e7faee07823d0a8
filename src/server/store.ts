/**
 * The Postgres of this process: the configured one, or the embedded one that lives and
 * dies with the server.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Settings } from '../config/env.ts'
import { databaseUrl, usesEmbeddedStore } from '../config/load.ts'
import type { ConnectionTarget } from '../platform/db/connection.ts'
import { isUnavailable, sqlState } from '../platform/db/unavailable.ts'
import { startEmbeddedPostgres } from '../platform/embedded/start.ts'
import type { RoleName } from '../platform/role.ts'

export interface Store extends AsyncDisposable {
  readonly embedded: boolean
  /** Where a role works. */
  target(role: RoleName): ConnectionTarget
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

/** Starts the embedded Postgres when some role needs it. */
export async function openStore(settings: Settings, roles: readonly RoleName[], log: Logger): Promise<Store> {
  const configured = settings.MIGRATION_DATABASE_URL ?? settings.DATABASE_URL
  if (!usesEmbeddedStore(settings, roles)) {
    const target = (role: RoleName): string => databaseUrl(settings, role) ?? ''
    return {
      embedded: false,
      target,
      owner: configured ?? (roles[0] === undefined ? '' : target(roles[0])),
      variable: (role) => urlVariable(settings, role),
      failed: new Promise(() => {}),
      abandon: () => {},
      [Symbol.asyncDispose]: async () => {},
    }
  }
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<Error>((resolve) => {
    fail = resolve
  })
  const postgres = await startEmbeddedPostgres({
    dataDir: settings.CARACAL_DATA_DIR,
    log: log.child({ component: 'embedded_store' }),
    onFailure: (error) => fail(error),
  })
  // One object for all roles: who shares a target shares a pool.
  const { connection } = postgres
  return {
    embedded: true,
    target: (role) => databaseUrl(settings, role) ?? connection,
    owner: connection,
    variable: (role) => urlVariable(settings, role),
    failed,
    abandon: () => postgres.abandon(),
    [Symbol.asyncDispose]: () => postgres[Symbol.asyncDispose](),
  }
}

function urlVariable(settings: Settings, role: RoleName): string {
  const own = `${role.toUpperCase() as Uppercase<RoleName>}_DATABASE_URL` as const
  return settings[own] === null ? 'DATABASE_URL' : own
}

/**
 * Runs `work` until the store answers, for at most `patienceMs`. What cannot get better by
 * waiting (a refused login, a database that does not exist) fails at once.
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
