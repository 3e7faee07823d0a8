/**
 * What a token derived for a v1 console may reach (control-api §3.3, §3.6): the zones of the account it acts for, and
 * the few paths without a zone that are for accounts. This only ever takes away from what the token may do
 * (authorize.ts).
 */
import { errorOf } from '../../platform/http/errors/registry.ts'
import { assertedAccount } from './account-assertion.ts'
import { type GateRequest, isRead, isReveal, pathZone } from './authorize.ts'
import type { Principal } from './principal.ts'
import { isReservedZone } from './reserved.ts'
import type { ZoneStandings } from './zone-standings.ts'

/** A derived token's principal as it acts for the asserted account; every other principal, and one for nobody, as it is. */
export function actingFor(
  principal: Principal,
  assertion: string | undefined,
  adminToken: string | null,
): Principal {
  const account = principal.derived ? assertedAccount(assertion, adminToken) : null
  return account === null ? principal : { ...principal, actsFor: account, attributedTo: account }
}

const read = ['GET', 'HEAD']

/** The assistant's paths are on the list of v1, and are answered 404 where we have none. */
const forAccounts: readonly (readonly [path: RegExp, methods: readonly string[]])[] = [
  [/^\/v1\/zones$/, [...read, 'POST']],
  [/^\/v1\/policy-templates(\/|$)/, read],
  [/^\/v1\/policies\/validate$/, ['POST']],
  [/^\/v1\/operator\/(status|capabilities|ai\/status)$/, read],
  [/^\/v1\/operator\/ai\/check$/, ['POST']],
  [/^\/v1\/operator\/ai\/providers$/, [...read, 'POST']],
  [/^\/v1\/operator\/ai\/providers\/[^/]+$/, ['PATCH', 'DELETE']],
  [/^\/v1\/operator\/ai\/providers\/[^/]+\/key$/, ['POST']],
  [/^\/v1\/(audit-retention|mint-rate-limit)$/, [...read, 'PUT']],
]

/** Checks 8 and 9. Throws 403 `account_scope_required` or `zone_forbidden`; a zone that is not there is nobody's. */
export async function confineToAccount(
  account: string,
  request: GateRequest,
  standings: ZoneStandings,
): Promise<void> {
  const zoneId = pathZone(request.path)
  if (zoneId === null) {
    const { method, path } = request
    if (forAccounts.some(([of, methods]) => of.test(path) && methods.includes(method))) return
    throw errorOf('account_scope_required')
  }
  const zone = await standings.of(zoneId)
  if (zone?.owner === account) return
  const looks = isRead(request.method) && !isReveal(request)
  if (zone !== null && looks && isReservedZone(zone)) return
  throw errorOf('zone_forbidden')
}
