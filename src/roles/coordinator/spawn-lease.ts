/**
 * The seed's short lock in Redis around a start (coordinator §4.4). It only spares Postgres some
 * waiting: without it, or without Redis, the advisory lock alone keeps the limits.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { uuidv4 } from '../../platform/ids.ts'
import type { CoordinatorDeps } from './deps.ts'

const ttlMs = 10_000
const patienceMs = 5_000

/** Runs `work` under the lease if it can be had in time, and without it otherwise. */
export async function withSpawnLease<T>(
  deps: Pick<CoordinatorDeps, 'ephemera' | 'log'>,
  zoneId: string,
  work: () => Promise<T>,
): Promise<T> {
  // Under the Postgres driver the lease would be the same store's lock a second time.
  if (deps.ephemera.driver !== 'redis') return work()
  const key = `coordinator:agent_spawn:${zoneId}`
  const holder = uuidv4()
  const held = await acquire(deps, key, holder)
  try {
    return await work()
  } finally {
    if (held) {
      // The time limit releases what could not be released.
      await deps.ephemera.deleteIfEquals(key, holder).catch((error: unknown) => skipped(deps, error))
    }
  }
}

async function acquire(
  deps: Pick<CoordinatorDeps, 'ephemera' | 'log'>,
  key: string,
  holder: string,
): Promise<boolean> {
  const until = performance.now() + patienceMs
  try {
    while (performance.now() < until) {
      if (await deps.ephemera.setIfAbsent(key, holder, ttlMs)) return true
      await sleep(5 + Math.random() * 20)
    }
  } catch (error) {
    skipped(deps, error)
  }
  return false
}

function skipped(deps: Pick<CoordinatorDeps, 'log'>, error: unknown): void {
  deps.log.warn({ err: error }, 'spawn_lease_skipped')
}
