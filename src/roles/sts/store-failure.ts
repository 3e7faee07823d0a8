/** What a failed statement means to a caller: "later" (503) or "our fault" (500). */

import { isUnavailable, sqlState } from '../../platform/db/unavailable.ts'
import type { CaracalError } from '../../platform/errors.ts'
import { internalError, unavailable } from './refusal.ts'

/** A statement that ran into its time-out waited for somebody else's lock: trying again later helps. */
const statementTimeout = '57014'

export function storeFailure(error: unknown, detail: string): CaracalError {
  return storeAway(error) ?? internalError(detail, error)
}

/** 503 for an error that means "ask again later", else `null`. */
export function storeAway(error: unknown): CaracalError | null {
  return isUnavailable(error) || sqlState(error) === statementTimeout
    ? unavailable('store is unavailable', error)
    : null
}
