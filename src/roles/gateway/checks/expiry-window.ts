import { mandateOf } from '../call.ts'
import { denials } from '../denial.ts'
import type { Check } from './check.ts'

const windowSeconds = 35

/** Step 5: the STS must have time to mint before the inbound mandate dies (gateway §5). */
export const expiryWindow: Check = (call) =>
  mandateOf(call).claims.exp - Date.now() / 1000 >= windowSeconds ? null : denials.expiring
