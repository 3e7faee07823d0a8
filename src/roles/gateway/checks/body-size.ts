import { denials } from '../denial.ts'
import type { Check } from './check.ts'

/** Step 13a: a body declared too large is refused before the exchange. */
export const bodySize: Check = (call, { settings }) => {
  const declared = call.request.headers['content-length']
  return declared !== undefined && Number(declared) > settings.MAX_REQUEST_BYTES ? denials.bodyTooLarge : null
}
