import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Constraints, hopsOf } from '../../../src/roles/coordinator/constraints.ts'
import { effectiveAuthority } from '../../../src/roles/coordinator/effective-authority.ts'
import { excessOver, type Held, type ParentEdge } from '../../../src/roles/coordinator/narrow.ts'

const scopes = fc.uniqueArray(fc.constantFrom('read', 'write', 'pay'), { maxLength: 3 })
const resources = fc.uniqueArray(fc.constantFrom('resource://a', 'resource://b'), { maxLength: 2 })
const small = (max: number) => fc.option(fc.integer({ min: 1, max }), { nil: undefined })

const constraints: fc.Arbitrary<Constraints> = fc
  .record({
    resources: fc.option(resources, { nil: undefined }),
    max_hops: small(4),
    budget: small(3),
    ttl_seconds: small(3),
  })
  .map(
    (all) =>
      Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Constraints,
  )

const held: fc.Arbitrary<Held> = fc.record({
  scopes,
  resourceId: fc.constantFrom(null, 'a', 'b'),
  expiresAt: fc.integer({ min: 1, max: 4 }),
  constraints,
})

/** What an edge lets its holder do, counted out: the claim that narrowing makes. */
function within(child: Held, parent: ParentEdge & { constraints: Constraints }): boolean {
  const limits = parent.constraints
  return (
    child.scopes.every((scope) => parent.scopes.includes(scope)) &&
    child.expiresAt <= parent.expiresAt &&
    hopsOf(child.constraints) < hopsOf(limits) &&
    (limits.ttl_seconds === undefined || (child.constraints.ttl_seconds ?? Infinity) <= limits.ttl_seconds) &&
    (limits.budget === undefined || (child.constraints.budget ?? child.scopes.length) <= limits.budget) &&
    (parent.resourceId === null || child.resourceId === parent.resourceId)
  )
}

describe('narrowing', () => {
  it('what it lets pass never holds more than its parent', () => {
    fc.assert(
      fc.property(held, held, (parent, child) => {
        fc.pre(excessOver(parent, child) === null)
        expect(within(child, parent)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it('a parent whose constraints are not understood has no children', () => {
    fc.assert(
      fc.property(held, (child) => {
        const parent = { ...child, constraints: { unheard_of: true } }
        expect(excessOver(parent, child)).toBe('parent_constraints')
      }),
    )
  })

  it('an edge that is not understood is listed and adds nothing', () => {
    const edge = { scopes: ['read'], resourceId: null, resourceIdentifier: null, expiresAt: new Date(0) }
    expect(
      effectiveAuthority('s', [{ ...edge, id: 'odd', constraints: { unheard_of: true } }]),
    ).toMatchObject({
      inbound_edges: ['odd'],
      effective_scopes: [],
      effective_max_hops: 0,
    })
  })
})
