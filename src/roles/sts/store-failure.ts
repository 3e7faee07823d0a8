/** What a failed statement means to a caller: "later" (503) or "our fault" (500). */

import { helpsToRetry } from '../../platform/db/unavailable.ts'
import type { CaracalError } from '../../platform/errors.ts'
import { internalError, unavailable } from './refusal.ts'

export function storeFailure(error: unknown, detail: string): CaracalError {
  return storeAway(error) ?? internalError(detail, error)
}

/** 503 for an error that means "ask again later", else `null`. */
export function storeAway(error: unknown): CaracalError | null {
  return helpsToRetry(error) ? unavailable('store is unavailable', error) : null
}
