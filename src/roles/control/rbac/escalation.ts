/**
 * Nobody gives away more than it holds (control-api §12.5): guards for roles, bindings
 * and narrowed keys. `bind` lifts the guard for ordinary roles only; administering the
 * platform and deciding approvals pass on from holder to holder alone.
 */
import { errorOf } from '../../../platform/http/errors/registry.ts'
import type { Principal } from '../principal.ts'
import { equivalentRole, PLATFORM_ADMIN } from './built-in-roles.ts'
import { bindingsGrant, type Permission, type Rule, rulesAt, rulesCover } from './rules.ts'

const escalateRoles: Permission = { apiGroup: 'iam', resource: 'roles', verb: 'escalate' }
const bindRoles: Permission = { apiGroup: 'iam', resource: 'role-bindings', verb: 'bind' }

const escalation = () => errorOf('privilege_escalation')

/** Everything the principal may do at `zoneId` (`null` = everywhere). */
export function heldRules(principal: Principal, zoneId: string | null): readonly Rule[] {
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

/** A key's own rules only narrow, but they must be the caller's to give. */
export function guardKeyRules(principal: Principal, zoneId: string | null, rules: readonly Rule[]): void {
  if (!rulesCover(heldRules(principal, zoneId), rules)) throw escalation()
}
