/** The bus and the short-lived facts of this process: on Redis when there is one, else on Postgres. */
import type { Logger } from 'pino'
import type { Settings } from '../config/env.ts'
import type { Bus } from '../platform/bus/port.ts'
import { createPostgresBus } from '../platform/bus/postgres.ts'
import type { Database } from '../platform/db/port.ts'
import type { Ephemera } from '../platform/ephemera/port.ts'
import { createPostgresEphemera } from '../platform/ephemera/postgres.ts'
import type { Job } from '../platform/jobs/job.ts'
import type { Driver } from './deployment.ts'

export interface Drivers extends AsyncDisposable {
  readonly bus: Bus
  readonly ephemera: Ephemera
  /** Housekeeping of the drivers, once for each process. */
  readonly jobs: readonly Job[]
}

export function driverOf(settings: Pick<Settings, 'REDIS_URL'>): Driver {
  return settings.REDIS_URL === null ? 'postgres' : 'redis'
}

export async function openDrivers(_settings: Settings, db: Database, log: Logger): Promise<Drivers> {
  const bus = createPostgresBus({ db, log })
  const ephemera = createPostgresEphemera({ db, log })
  return {
    bus,
    ephemera,
    jobs: [...bus.jobs, ...ephemera.jobs],
    async [Symbol.asyncDispose]() {
      await ephemera[Symbol.asyncDispose]()
      await bus[Symbol.asyncDispose]()
    },
  }
}
