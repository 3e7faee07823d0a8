/** Step J: nothing granted is a denial; it names the first thing that stood in the way. */
import type { ExchangeDeps } from '../exchange-deps.ts'
import type { Exchange } from '../exchange-state.ts'
import { accessDenied, credentialNotRenewable, rateLimited, unavailable } from '../refusal.ts'

export function requireGrant(x: Exchange, deps: ExchangeDeps): void {
  if (x.granted.length > 0) return
  deps.evidence.denied(x, 'exchange_denied', { requested: x.request.resources })
  const asked = new Set(x.request.resources.map((name) => x.resources.get(name)?.id ?? name))
  if (x.rateLimited.count === asked.size) {
    throw rateLimited(x.rateLimited.remainingMs, 'mint rate limit exceeded')
  }
  const problem = x.providerProblem
  if (problem !== null) {
    if (problem.code === 'credential_expired_not_renewable') throw credentialNotRenewable(problem.message)
    if (problem.code === 'sts_unavailable') throw unavailable(problem.message)
    throw accessDenied(problem.message)
  }
  throw accessDenied(x.firstReason === null ? 'policy denied' : `policy denied (${x.firstReason})`)
}
