/**
 * All processes of a deployment carry events and markers the same way: a revocation on
 * one bus is not seen on another. The first process records its drivers; one that would
 * use others does not start (design §5).
 */
import type { Queryable } from '../platform/db/port.ts'
import { sqlState } from '../platform/db/unavailable.ts'

export type Driver = 'redis' | 'postgres'

/** Started with other drivers than the deployment uses. */
class DriverMismatch extends Error {
  override readonly name = 'DriverMismatch'
}

/** Records the drivers of a fresh deployment and rejects with `DriverMismatch` when they differ from the recorded ones. */
export async function agreeOnDrivers(db: Pick<Queryable, 'sql'>, driver: Driver): Promise<void> {
  try {
    await db.sql`
      insert into deployment (singleton, bus_driver, ephemera_driver)
      values (true, ${driver}, ${driver})
      on conflict (singleton) do nothing`
  } catch (error) {
    // A role that may only read compares with what another process recorded.
    if (sqlState(error) !== '42501') throw error
  }
  await assertDrivers(db, driver)
}

/** Rejects with `DriverMismatch` when the deployment has recorded other drivers. */
export async function assertDrivers(db: Pick<Queryable, 'sql'>, driver: Driver): Promise<void> {
  const [recorded] = await db.sql<{ bus_driver: Driver; ephemera_driver: Driver }[]>`
    select bus_driver, ephemera_driver
    from deployment`
  if (recorded === undefined) return
  if (recorded.bus_driver === driver && recorded.ephemera_driver === driver) return
  throw new DriverMismatch(
    driver === 'redis'
      ? 'REDIS_URL is set but this deployment runs on Postgres alone: unset it, or stop everything and run caracal migrate --switch-bus'
      : 'REDIS_URL is not set but this deployment runs on Redis: set it, or stop everything and run caracal migrate --switch-bus',
  )
}

/** Records other drivers. Rejects while processes of the deployment are connected. */
export async function switchDrivers(db: Pick<Queryable, 'sql'>, driver: Driver): Promise<void> {
  const others = await db.sql<{ application_name: string }[]>`
    select distinct application_name
    from pg_stat_activity
    where datname = current_database()
      and application_name like 'caracal-%'
      and application_name <> 'caracal-migrate'`
  if (others.length > 0)
    throw new DriverMismatch(
      `the bus cannot be switched while processes run: ${others.map((one) => one.application_name).join(', ')}`,
    )
  await db.sql`
    insert into deployment (singleton, bus_driver, ephemera_driver)
    values (true, ${driver}, ${driver})
    on conflict (singleton) do update
    set bus_driver = excluded.bus_driver, ephemera_driver = excluded.ephemera_driver`
}
