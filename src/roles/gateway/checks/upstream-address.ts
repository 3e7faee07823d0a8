import { directiveOf } from '../call.ts'
import { denials } from '../denial.ts'
import { parseTarget } from '../proxy/target.ts'
import type { Check, Verdict } from './check.ts'

/** Step 16: the directive's URL is one the gateway may dial (gateway §12). */
export const upstreamAddress: Check = (call, { guard }) => {
  const target = parseTarget(directiveOf(call).url)
  if (target === null) return denials.notAddressable
  call.target = target
  const admitted = guard.admits(target.hostname, target.port)
  return typeof admitted === 'boolean' ? verdict(admitted) : admitted.then(verdict)
}

const verdict = (admitted: boolean): Verdict => (admitted ? null : denials.notAddressable)
