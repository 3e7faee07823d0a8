/**
 * Nobody gives away more than it holds (control-api §12.5): guards for roles, bindings,
 * credentials. `bind` lifts the guard for ordinary roles only; administering the
 * platform and deciding approvals pass on from holder to holder alone.
 */
import { errorOf } from '../../../platform/http/errors/registry.ts'
import type { Capability, Principal } from '../principal.ts'
import { equivalentRole, PLATFORM_ADMIN } from './built-in-roles.ts'
import { type Binding, bindingsGrant, type Permission, type Rule, rulesAt, rulesCover } from './rules.ts'

const escalateRoles: Permission = { apiGroup: 'iam', resource: 'roles', verb: 'escalate' }
const bindRoles: Permission = { apiGroup: 'iam', resource: 'role-bindings', verb: 'bind' }

const escalation = () => errorOf('privilege_escalation')

/** Everything the principal may do at `zoneId` (`null` = everywhere). */
function heldRules(principal: Principal, zoneId: string | null): readonly Rule[] {
  if (principal.zoneId !== null && principal.zoneId !== zoneId) return []
  if (principal.bindings === null) return equivalentRole(principal).rules
  return rulesAt(principal.bindings, zoneId)
}

function may(principal: Principal, permission: Permission, zoneId: string | null): boolean {
  if (principal.bindings === null) return principal.bootstrap || permission.verb === 'bind'
  return bindingsGrant(principal.bindings, permission, zoneId, null)
}

function decidesApprovals(rules: readonly Rule[]): boolean {
  return rules.some(
    (rule) =>
      (rule.api_groups.includes('*') || rule.api_groups.includes('approval')) &&
      rule.resources.some((resource) => resource === '*' || resource === 'approvals') &&
      rule.verbs.some((verb) => verb === '*' || verb === 'approve' || verb === 'reject'),
  )
}

/** Creating or changing a role: hold all of it at its scope, or `escalate`. */
export function guardRole(principal: Principal, zoneId: string | null, rules: readonly Rule[]): void {
  if (rulesCover(heldRules(principal, zoneId), rules) || may(principal, escalateRoles, zoneId)) return
  throw escalation()
}

export interface BindingRequest {
  readonly roleName: string
  readonly builtIn: boolean
  readonly rules: readonly Rule[]
  readonly zoneId: string | null
  /** Account that receives the role. */
  readonly subjectId: string
}

/** Binding a role: hold all of it at the binding's scope, or `bind` where that suffices. */
export function guardBinding(principal: Principal, request: BindingRequest): void {
  const { rules, zoneId } = request
  const isPlatformAdmin = request.builtIn && request.roleName === PLATFORM_ADMIN
  if (isPlatformAdmin && zoneId !== null) throw escalation()
  if (rulesCover(heldRules(principal, zoneId), rules)) return
  const toItself = principal.accountId !== null && principal.accountId === request.subjectId
  const reserved = isPlatformAdmin || decidesApprovals(rules) || toItself
  if (reserved || !may(principal, bindRoles, zoneId)) throw escalation()
}

/**
 * Handing out a way to act with these bindings, in one zone or (`null`) wherever they reach: hold all of it there.
 * It holds for one's own account too, which may have more than the key one came with.
 */
export function guardCredential(
  principal: Principal,
  bindings: readonly Binding[],
  zoneId: string | null,
): void {
  const scopes = zoneId === null ? new Set(bindings.map((binding) => binding.zoneId)) : [zoneId]
  for (const scope of scopes) {
    if (!rulesCover(heldRules(principal, scope), rulesAt(bindings, scope))) throw escalation()
  }
}

/** Minting an admin token: hold what it equals. Admin tokens have a table of their own for that (control-api §3.3). */
export function guardToken(principal: Principal, zoneId: string | null, capability: Capability): void {
  if (principal.bindings === null) return
  const { rules } = equivalentRole({ bootstrap: false, capability })
  if (!rulesCover(heldRules(principal, zoneId), rules)) throw escalation()
}
