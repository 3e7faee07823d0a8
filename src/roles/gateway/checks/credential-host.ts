import { directiveOf, targetOf } from '../call.ts'
import { denials } from '../denial.ts'
import type { Check } from './check.ts'

/** Step 17: a provider credential only goes to hosts it was given for (gateway §12.4). */
export const credentialHost: Check = (call) => {
  const hosts = directiveOf(call).allowed_token_hosts
  if (hosts === undefined || hosts.length === 0) return null
  const { hostname } = targetOf(call)
  return hosts.some((host) => host.trim().toLowerCase() === hostname) ? null : denials.credentialHost
}
