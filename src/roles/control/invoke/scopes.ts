/** The 30 scopes a Control key may hold (control-api §9.7). */
const verbsByNoun: Readonly<Record<string, readonly string[]>> = {
  app: ['read', 'write', 'delete'],
  grant: ['read', 'write', 'delete'],
  'identity-provider': ['read', 'write', 'delete'],
  policy: ['read', 'write', 'delete'],
  'policy-set': ['read', 'write', 'delete'],
  resource: ['read', 'write', 'delete'],
  session: ['read', 'write', 'delete'],
  workload: ['read', 'write', 'delete'],
  delegation: ['read', 'delete'],
  approval: ['read'],
  audit: ['read'],
  'authority-record': ['read'],
  explain: ['read'],
}

export const controlScopes: readonly string[] = Object.entries(verbsByNoun).flatMap(([noun, verbs]) =>
  verbs.map((verb) => `control:${noun}:${verb}`),
)
