import { denials } from '../denial.ts'
import { digestOf, parseMandate } from '../mandate.ts'
import type { Check } from './check.ts'

/** Step 4: three parts, a JSON payload, an integer `exp`. A mandate verified a moment ago is not parsed again. */
export const bearerShape: Check = (call, { verified }) => {
  const digest = digestOf(call.bearer)
  const known = verified.get(digest)
  call.mandate =
    known === undefined
      ? parseMandate(call.bearer, digest)
      : { token: call.bearer, digest, claims: known, jws: null }
  call.verified = known !== undefined
  return call.mandate === null ? denials.malformedBearer : null
}
