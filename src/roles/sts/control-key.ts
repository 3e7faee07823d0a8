/** Control keys: applications whose traits allow Control scopes without policy (sts §2.2, §5.8). */
import { parseInstant } from './constraints.ts'
import type { ApplicationDefinition } from './definitions.ts'
import type { ExchangeRequest } from './exchange-state.ts'

const invokeTrait = 'control:invoke'
const expiresPrefix = 'control:expires:'
const maxTtlPrefix = 'control:max-ttl:'
const scopePrefix = 'control:scope:'

/** True when the request itself is one a control key may make: no subject, no session, control scopes only. */
export function isControlRequest(request: ExchangeRequest): boolean {
  return (
    request.subjectToken === null &&
    request.sessionId === null &&
    request.agentSessionId === null &&
    request.delegationEdgeId === null &&
    request.gateway === null &&
    request.requestedScopes.length > 0 &&
    request.requestedScopes.every((scope) => scope.startsWith('control:'))
  )
}

export function mayInvokeControl(application: Pick<ApplicationDefinition, 'traits'>): boolean {
  return application.traits.includes(invokeTrait)
}

/** True when the application's traits grant every requested scope now. */
export function controlKeyGrants(
  application: ApplicationDefinition,
  request: ExchangeRequest,
  now: number,
): boolean {
  if (!mayInvokeControl(application) || !isControlRequest(request)) return false
  const granted = new Set<string>()
  for (const trait of application.traits) {
    if (trait.startsWith(scopePrefix)) granted.add(trait.slice(scopePrefix.length))
    else if (trait.startsWith(expiresPrefix)) {
      const expiresAt = parseInstant(trait.slice(expiresPrefix.length))
      if (typeof expiresAt !== 'number' || expiresAt <= now) return false
    }
  }
  return request.requestedScopes.every((scope) => granted.has(scope))
}

/** Seconds from `control:max-ttl:<n>`, the smallest if there are several; `null` without one. */
export function controlKeyMaxTtl(application: ApplicationDefinition): number | null {
  const limits = application.traits
    .filter((trait) => trait.startsWith(maxTtlPrefix))
    .map((trait) => Number(trait.slice(maxTtlPrefix.length)))
  if (limits.length === 0) return null
  const smallest = Math.min(...limits)
  return Number.isInteger(smallest) && smallest > 0 ? smallest : 0
}
