import { isStoreAway } from '../bus/postgres-outage.ts'
import { storeTimeout } from '../db/unavailable.ts'
import { within } from '../within.ts'
import { EphemeraUnavailable } from './port.ts'

const timeoutMs = 5000

/** Everything above this driver sees one error when the store is away. */
export async function askStore<T>(work: Promise<T>): Promise<T> {
  try {
    return await within(work, timeoutMs, storeTimeout)
  } catch (error) {
    if (error instanceof EphemeraUnavailable || !isStoreAway(error)) throw error
    throw new EphemeraUnavailable('Postgres cannot be reached', { cause: error })
  }
}

/** Redis refuses a time to live below one millisecond; so do the rows. */
export function wholeMs(ttlMs: number): number {
  return Math.max(1, Math.ceil(ttlMs))
}
