/** The roles every deployment has (control-api §12.6). Seeded at start, never changed through the API. */
import type { Capability, Principal } from '../principal.ts'
import type { Binding, Rule } from './rules.ts'

const rule = (api_groups: string[], resources: string[], verbs: string[]): Rule => ({
  api_groups,
  resources,
  verbs,
})

const viewerRules: readonly Rule[] = [
  rule(
    ['core', 'policy', 'runtime', 'approval', 'audit', 'control', 'operator'],
    ['*'],
    ['list', 'get', 'validate'],
  ),
]

const zoneAdminRules: readonly Rule[] = [
  rule(['core', 'policy', 'runtime', 'audit'], ['*'], ['*']),
  rule(['approval'], ['notification-sinks'], ['*']),
  rule(['approval'], ['approvals'], ['list', 'get']),
]

const iamObjects = ['service-accounts', 'roles', 'role-bindings', 'api-keys']

export interface BuiltInRole {
  readonly name: string
  readonly description: string
  readonly rules: readonly Rule[]
}

export const PLATFORM_ADMIN = 'platform-admin'
export const ZONE_ADMIN = 'zone-admin'

/** What every console account may without being bound to anything (control-api §3.6): begin a zone of its own. */
export const accountBinding: Binding = {
  roleName: 'console-account',
  zoneId: null,
  rules: [
    rule(['core'], ['zones'], ['create']),
    rule(['policy'], ['policy-templates'], ['list', 'get']),
    rule(['policy'], ['policies'], ['validate']),
  ],
}

export const builtInRoles: readonly BuiltInRole[] = [
  {
    name: PLATFORM_ADMIN,
    description: 'Everything, everywhere.',
    rules: [rule(['*'], ['*'], ['*'])],
  },
  {
    name: ZONE_ADMIN,
    description: 'Configures a zone and ends sessions; decides no approvals and manages no access.',
    rules: zoneAdminRules,
  },
  {
    name: 'zone-iam-admin',
    description: 'Manages who may do what in a zone.',
    rules: [rule(['iam'], iamObjects, ['list', 'get', 'create', 'update', 'delete', 'rotate', 'bind'])],
  },
  { name: 'viewer', description: 'Reads everything but access management and secrets.', rules: viewerRules },
  {
    name: 'approver',
    description: 'Reads, and decides approvals.',
    rules: [...viewerRules, rule(['approval'], ['approvals'], ['approve', 'reject'])],
  },
  {
    name: 'policy-author',
    description: 'Writes policies but does not activate them.',
    rules: [
      rule(['core'], ['*'], ['list', 'get']),
      rule(['policy'], ['*'], ['list', 'get', 'create', 'update', 'delete', 'validate', 'simulate']),
    ],
  },
  {
    name: 'auditor',
    description: 'Reads and exports evidence.',
    rules: [rule(['audit'], ['*'], ['*']), rule(['runtime', 'approval'], ['*'], ['list', 'get'])],
  },
]

const byCapability: Readonly<Record<Capability, string>> = {
  write: 'zone-admin',
  read: 'viewer',
  approve: 'approver',
}

/** Role an admin token equals, for the escalation guard and for `/v1/auth/me`. */
export function equivalentRole(token: Pick<Principal, 'bootstrap' | 'capability'>): BuiltInRole {
  const name = token.bootstrap ? PLATFORM_ADMIN : byCapability[token.capability]
  const role = builtInRoles.find((candidate) => candidate.name === name)
  if (role === undefined) throw new Error(`no built-in role ${name}`)
  return role
}
