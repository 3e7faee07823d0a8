/** The bus and the short-lived facts of this process: on Redis when there is one, else on Postgres. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Settings } from '../config/env.ts'
import type { Bus } from '../platform/bus/port.ts'
import { createPostgresBus } from '../platform/bus/postgres.ts'
import type { Database } from '../platform/db/port.ts'
import type { Ephemera } from '../platform/ephemera/port.ts'
import { createPostgresEphemera } from '../platform/ephemera/postgres.ts'
import type { Job } from '../platform/jobs/job.ts'
import type { RoleName } from '../platform/role.ts'
import type { Driver } from './deployment.ts'
import { DependencyUnreachable } from './store.ts'

export interface Drivers extends AsyncDisposable {
  readonly bus: Bus
  readonly ephemera: Ephemera
  /** Housekeeping of the drivers, once for each process. */
  readonly jobs: readonly Job[]
}

export function driverOf(settings: Pick<Settings, 'REDIS_URL'>): Driver {
  return settings.REDIS_URL === null ? 'postgres' : 'redis'
}

/** Opens both ports. With Redis it resolves once Redis answers, for which it waits `SHUTDOWN_GRACE_MS`. */
export async function openDrivers(
  settings: Settings,
  roles: readonly RoleName[],
  db: Database,
  log: Logger,
): Promise<Drivers> {
  return settings.REDIS_URL === null
    ? onPostgres(roles, db, log)
    : onRedis(settings.REDIS_URL, settings, db, log)
}

/** Where nothing but the ledger reads, a notification that was lost delays evidence and never a revocation. */
const ledgerPollMs = 5000

function onPostgres(roles: readonly RoleName[], db: Database, log: Logger): Drivers {
  const onlyLedger = roles.every((role) => role === 'audit')
  const bus = createPostgresBus({ db, log, ...(onlyLedger ? { pollMs: ledgerPollMs } : {}) })
  const ephemera = createPostgresEphemera({ db, log })
  return { bus, ephemera, jobs: [...bus.jobs, ...ephemera.jobs], ...closing(bus, ephemera) }
}

async function onRedis(url: string, settings: Settings, db: Database, log: Logger): Promise<Drivers> {
  // The client is large and most processes of a small deployment never need it.
  const [{ createRedisBus }, { createRedisEphemera }, { warnOfEviction }] = await Promise.all([
    import('../platform/bus/redis.ts'),
    import('../platform/ephemera/redis.ts'),
    import('../platform/ephemera/redis-eviction.ts'),
  ])
  const bus = createRedisBus({ url, log, settings })
  const ephemera = createRedisEphemera({ url, db, log, settings })
  const drivers: Drivers = { bus, ephemera, jobs: [], ...closing(bus, ephemera) }
  try {
    await untilAnswered(() => Promise.all([bus.ping(), ephemera.ping()]), settings.SHUTDOWN_GRACE_MS, log)
    await warnOfEviction({ url, log, settings })
    return drivers
  } catch (error) {
    await drivers[Symbol.asyncDispose]()
    throw error
  }
}

/** What does not get better by waiting. */
const refusal = /^(?:WRONGPASS|NOAUTH|NOPERM)\b/

/** Why Redis cannot be used, as an operator reads it: the reason is the one that Redis or the network gave. */
export function redisTrouble(error: unknown): DependencyUnreachable {
  const reason = rootMessage(error)
  const what = refusal.test(reason) ? 'refused the login' : 'cannot be used'
  return new DependencyUnreachable(`REDIS_URL: Redis ${what} (${reason})`)
}

async function untilAnswered(ping: () => Promise<unknown>, patienceMs: number, log: Logger): Promise<void> {
  const deadline = Date.now() + patienceMs
  for (let told = false; ; told = true) {
    try {
      await ping()
      return
    } catch (error) {
      const reason = rootMessage(error)
      if (Date.now() >= deadline || refusal.test(reason)) throw redisTrouble(error)
      if (!told) log.warn({ dependency: 'redis', reason }, 'waiting for a dependency')
      await sleep(Math.min(250, Math.max(1, deadline - Date.now())))
    }
  }
}

function rootMessage(error: unknown): string {
  const { cause, message, code } = error as { cause?: unknown; message?: unknown; code?: unknown }
  // Where a name has several addresses, only the code says what became of them.
  return cause instanceof Error ? rootMessage(cause) : String(message || code)
}

function closing(bus: Bus, ephemera: Ephemera): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      await ephemera[Symbol.asyncDispose]()
      await bus[Symbol.asyncDispose]()
    },
  }
}
