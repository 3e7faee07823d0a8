import { isUnavailable, sqlState } from '../db/unavailable.ts'
import { BusUnavailable, GroupLost } from './port.ts'

/**
 * Tells "Postgres cannot be asked" from "Postgres said no", from the point of view of a caller who
 * only propagates: besides a broken connection, an answer that says "not now" (shutting down, no
 * resources, cut off by the statement time-out, read-only) counts as away.
 */
export function isStoreAway(error: unknown): boolean {
  if (isUnavailable(error)) return true
  const state = sqlState(error)
  return state !== null && /^(08|53|57|25006)/.test(state)
}

/** What a caller of the bus gets to see: `BusUnavailable` when the store is away, the error itself otherwise. */
export function asBusError(error: unknown): Error {
  if (error instanceof GroupLost || error instanceof BusUnavailable) return error
  if (isStoreAway(error)) return new BusUnavailable('Postgres cannot be reached', { cause: error })
  return error instanceof Error ? error : new Error(String(error))
}
