import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { builtInRoles } from '../../../src/roles/control/rbac/built-in-roles.ts'
import {
  type Binding,
  bindingsGrant,
  intersectBindings,
  type Permission,
  type Rule,
  rulesCover,
} from '../../../src/roles/control/rbac/rules.ts'

const word = fc.constantFrom(
  '*',
  'core',
  'policy',
  'applications',
  'applications/client-secret',
  'applications/*',
  'list',
  'get',
)
const words = fc.uniqueArray(word, { minLength: 1, maxLength: 3 })
const rule: fc.Arbitrary<Rule> = fc.record(
  {
    api_groups: words,
    resources: words,
    verbs: words,
    resource_names: fc.uniqueArray(fc.constantFrom('*', 'x', 'y'), { minLength: 1 }),
  },
  { requiredKeys: ['api_groups', 'resources', 'verbs'] },
)
const rules = fc.array(rule, { minLength: 1, maxLength: 3 })
const permission: fc.Arbitrary<Permission> = fc.record({
  apiGroup: fc.constantFrom('core', 'policy', 'other'),
  resource: fc.constantFrom('applications', 'applications/client-secret', 'core', 'other'),
  verb: fc.constantFrom('list', 'get', 'other'),
})
const bind = (list: readonly Rule[]): Binding[] => [{ roleName: 'r', zoneId: null, rules: list }]
const grants = (list: readonly Rule[], wanted: Permission, name: string | null = 'x') =>
  bindingsGrant(bind(list), wanted, 'z', name)
/** An item, or a collection. */
const name = fc.constantFrom('x', null)

describe('rules', () => {
  test('who covers a set of rules grants everything it grants', () => {
    fc.assert(
      fc.property(rules, rules, permission, name, (held, wanted, asked, of) => {
        if (!rulesCover(held, wanted) || !grants(wanted, asked, of)) return
        expect(grants(held, asked, of)).toBe(true)
      }),
      { numRuns: 20_000 },
    )
  })

  test('a narrowed key never does what its account or its own rules do not', () => {
    fc.assert(
      fc.property(rules, rules, permission, name, (account, key, asked, of) => {
        const narrowed = intersectBindings(bind(account), key)
        if (!bindingsGrant(narrowed, asked, 'z', of)) return
        expect(grants(account, asked, of) && grants(key, asked, of)).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  test('any name is every item, for the guard and for the gate, and no collection', () => {
    const get = { apiGroup: 'core', resource: 'applications', verb: 'get' }
    const wanted = { api_groups: ['core'], resources: ['applications'], verbs: ['get'] }
    const any = [{ ...wanted, resource_names: ['*'] }]
    expect(grants(any, get)).toBe(true)
    expect(grants(any, get, null)).toBe(false)
    expect(rulesCover(any, [{ ...wanted, resource_names: ['x'] }])).toBe(true)
    expect(rulesCover(any, [wanted])).toBe(false)
    const key = intersectBindings(bind(any), [{ ...wanted, resource_names: ['x'] }])
    expect([bindingsGrant(key, get, 'z', 'x'), bindingsGrant(key, get, 'z', 'y')]).toEqual([true, false])
  })

  test('a bare resource does not open its sub-resources, a rule with names opens no collection', () => {
    const reveal = { apiGroup: 'core', resource: 'applications/client-secret', verb: 'reveal' }
    const bare = [{ api_groups: ['core'], resources: ['applications'], verbs: ['*'] }]
    expect(grants(bare, reveal)).toBe(false)
    expect(grants([{ ...bare[0], resources: ['applications/*'] } as Rule], reveal)).toBe(true)
    const named = bind([{ ...bare[0], resource_names: ['x'] } as Rule])
    const get = { apiGroup: 'core', resource: 'applications', verb: 'get' }
    expect(bindingsGrant(named, get, 'z', 'x')).toBe(true)
    expect(bindingsGrant(named, get, 'z', 'y')).toBe(false)
    expect(bindingsGrant(named, { ...get, verb: 'list' }, 'z', null)).toBe(false)
  })

  test('a binding of a zone reaches that zone alone', () => {
    const [zoned] = bind([{ api_groups: ['*'], resources: ['*'], verbs: ['*'] }])
    const bindings = [{ ...(zoned as Binding), zoneId: 'a' }]
    const get = { apiGroup: 'core', resource: 'zones', verb: 'get' }
    expect(bindingsGrant(bindings, get, 'a', null)).toBe(true)
    expect(bindingsGrant(bindings, get, 'b', null)).toBe(false)
    expect(bindingsGrant(bindings, get, null, null)).toBe(false)
  })

  test('only the platform administrator both configures and approves', () => {
    const both = builtInRoles.filter(
      (role) =>
        grants(role.rules, { apiGroup: 'core', resource: 'applications', verb: 'create' }) &&
        grants(role.rules, { apiGroup: 'approval', resource: 'approvals', verb: 'approve' }),
    )
    expect(both.map((role) => role.name)).toEqual(['platform-admin'])
  })
})
