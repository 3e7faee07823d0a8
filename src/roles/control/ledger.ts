/** How management paths are read by the administrative ledger (control-api §4). */
import type { Context } from 'hono'
import type { EntityRules } from '../../platform/admin-audit/entity.ts'
import { controlErrors } from '../../platform/http/error-style.ts'
import { type Principal, scopeOf } from './principal.ts'

export const ledgerRules: EntityRules = {
  collections: new Set([
    'zones',
    'applications',
    'workloads',
    'resources',
    'providers',
    'provider-connections',
    'policies',
    'policy-sets',
    'policy-templates',
    'grants',
    'subject-issuers',
    'subjects',
    'approvals',
    'admin-tokens',
    'operator-conversations',
    'notification-sinks',
    'service-accounts',
    'roles',
    'role-bindings',
    'api-keys',
  ]),
  pseudoIds: new Set(['dcr', 'discovery', 'oauth', 'revoke', 'counts', 'overview', 'validate']),
}

/** Which rows the caller could reach, by what kind of principal, and for whom it acted. */
export function reachOf(principal: Principal): Readonly<Record<string, unknown>> {
  const reach =
    principal.zoneId === null
      ? { rls_mode: 'control_plane_wildcard', rls_zone_guc: '*' }
      : { rls_mode: 'zone_scoped', rls_zone_guc: principal.zoneId }
  if (principal.actsFor === undefined) return { ...reach, principal_kind: principal.kind }
  return { ...reach, principal_kind: 'account', operator: principal.actsFor }
}

/** Who made a change, as a row says it. */
export const actorOf = (principal: Principal) => ({
  id: principal.id,
  name: principal.name,
  scope: scopeOf(principal),
})

const ofPrincipal =
  <T>(told: (principal: Principal) => T) =>
  (c: Context): T | null => {
    const principal = c.get('controlPrincipal')
    return principal === undefined ? null : told(principal)
  }

/** What every gate of this role to the ledger has in common. */
export const ledgerGate = {
  errorStyle: controlErrors,
  rules: ledgerRules,
  actorOf: ofPrincipal(actorOf),
  payloadOf: ofPrincipal(reachOf),
}
