import { mandateOf } from '../call.ts'
import { denials } from '../denial.ts'
import type { Check } from './check.ts'

/** Step 11a: a mandate made for another place is refused before its `jti` is burned here. */
export const mandateUse: Check = (call) => {
  const use = mandateOf(call).claims.use
  return use === undefined || use === 'gateway' ? null : denials.wrongUse
}
