/** Starting points for authors (control-api §7.11). Every content passes `validateDocument`. */
export interface PolicyTemplate {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly content: string
}

const header = '# caracal:data-document\npackage caracal.authz\n\nimport rego.v1\n\n'

export const policyTemplates: readonly PolicyTemplate[] = [
  {
    id: 'application-bindings',
    name: 'Application Bindings',
    description:
      'Gives applications readable keys: binding key to application id, as seen in input.principal.id.',
    content: `${header}app_ids := {
  "payments": "<application id>",
}
`,
  },
  {
    id: 'resource-grants',
    name: 'Resource Grants',
    description: 'Says which application owns a resource and which scopes each role label may hold.',
    content: `${header}grants := {
  "resource://payments": {
    "application": "payments",
    "roles": {
      "clerk": ["payments:read"],
      "cashier": ["payments:read", "payments:pay"],
    },
  },
}
`,
  },
  {
    id: 'label-confinement',
    name: 'Label Confinement',
    description: 'Caps every session that has a label with the given prefix to the listed scopes.',
    content: `${header}confinement := [
  {"label_prefix": "customer:", "scopes": ["payments:read"]},
]
`,
  },
  {
    id: 'zone-restriction',
    name: 'Zone Restriction',
    description: 'Freeze switch: any entry denies every exchange in the zone.',
    content: `${header}restrict := {}
`,
  },
  {
    id: 'approval-gates',
    name: 'Approval Gates',
    description: 'Classifies scopes into tiers and says which tiers a person must approve.',
    content: `${header}risk := [
  {"scope": "payments:pay", "tier": "money"},
]

approval_tiers := [
  {"tier": "money", "approver": "operator", "ttl_seconds": 3600, "privacy": "identified"},
]
`,
  },
]
