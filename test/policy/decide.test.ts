import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  approvalGates,
  completeInput,
  type DecisionInput,
  decide,
  denyAllBundle,
  denyReason,
} from '../../src/policy/index.ts'
import { bundleOf, type ExpectedDecision, mergePatch, readCases, summarize } from './cases.ts'

type Patch = Parameters<typeof mergePatch>[0]

interface Cases {
  readonly documents: Readonly<Record<string, string>>
  readonly inputs: Readonly<Record<string, Patch>>
  readonly cases: readonly {
    readonly name: string
    readonly input: string
    readonly with?: Patch
    readonly documents?: Readonly<Record<string, string>>
    readonly expect: ExpectedDecision
  }[]
}

const file = readCases<Cases>('decide')

function inputOf(name: string, patch: Patch = {}): DecisionInput {
  const base = file.inputs[name]
  if (base === undefined) throw new Error(`no input ${name}`)
  return mergePatch(base, patch) as unknown as DecisionInput
}

describe('decision rows', () => {
  for (const { name, input, with: patch, documents, expect: expected } of file.cases) {
    test(name, () => {
      const bundle = bundleOf({ ...file.documents, ...documents })
      const decision = decide(bundle, inputOf(input, patch))
      expect(summarize(decision, expected)).toEqual(expected)
    })
  }
})

test('without an active policy set everything is denied', () => {
  for (const name of Object.keys(file.inputs)) {
    expect(denyReason(decide(denyAllBundle, inputOf(name)))).toBe('no_active_policy_set')
  }
})

test('decisions cannot be changed by whoever reads them', () => {
  const bundle = bundleOf({
    ...file.documents,
    risk: 'risk := [{"scope":"nucleus:pay","tier":"money"}]',
    approval_tiers: 'approval_tiers := [{"tier":"money"}]',
  })
  const [gate] = approvalGates(decide(bundle, inputOf('mint')))
  expect(() => Object.assign(gate ?? {}, { tier: 'other' })).toThrow(TypeError)
  expect(() => Object.assign(decide(bundle, inputOf('use')), { decision: 'deny' })).toThrow(TypeError)
})

test('a simulation input is completed, and stays denied', () => {
  const bundle = bundleOf(file.documents)
  expect(denyReason(decide(bundle, completeInput({})))).toBe('no_rule_matched')
  expect(decide(bundle, completeInput({ schema_version: 'x' })).decision).toBe('error')
  expect(decide(bundle, completeInput(file.inputs.mint as Record<string, unknown>)).decision).toBe('allow')
})

describe('invariants', () => {
  const scope = fc.constantFrom('nucleus:pay', 'nucleus:read', 'agent:lifecycle', 'x')
  const label = fc.constantFrom('clerk', 'cashier', 'customer:1', 'nobody')
  const scopes = fc.array(scope, { maxLength: 3 })
  const anyInput = fc
    .record({
      name: fc.constantFrom('bootstrap', 'mint', 'use', 'run'),
      principal: fc.constantFrom('app-pay', 'app-other'),
      identifier: fc.constantFrom('resource://nucleus', 'resource://foreign', 'resource://unbound'),
      labels: fc.array(label, { maxLength: 3 }),
      requested: fc.option(scopes, { nil: undefined }),
      edge: scopes,
    })
    .map(({ name, principal, identifier, labels, requested, edge }) => {
      const base = inputOf(name, { principal: { id: principal, labels }, resource: { identifier } })
      const context =
        requested === undefined ? base.context : { ...base.context, requested_scopes: requested }
      const edged =
        base.delegation_edge === undefined
          ? {}
          : { delegation_edge: { ...base.delegation_edge, scopes: edge } }
      return { ...base, ...edged, context } as DecisionInput
    })
  const confinement = fc
    .array(fc.record({ label_prefix: fc.constantFrom('c', 'customer:', ''), scopes }), { maxLength: 3 })
    .map((rules) => `confinement := ${JSON.stringify(rules)}`)
  const allowed = (documents: Readonly<Record<string, string>>, input: DecisionInput) =>
    decide(bundleOf(documents), input).decision === 'allow'

  test('a further confinement or restriction never turns a denial into an allow', () => {
    fc.assert(
      fc.property(anyInput, confinement, fc.boolean(), (input, rules, restrict) => {
        const before = allowed(file.documents, input)
        const narrowed = {
          ...file.documents,
          confinement: rules,
          ...(restrict ? { restrict: 'restrict := {"x"}' } : {}),
        }
        const after = allowed(narrowed, input)
        expect(after && !before).toBe(false)
        expect(after && restrict).toBe(false)
      }),
      { numRuns: 300 },
    )
  })

  test('a mint never holds more than its edge and one role', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        if (input.delegation_edge === undefined || !allowed(file.documents, input)) return
        const edge = input.delegation_edge.scopes
        const roles: Record<string, string[]> = {
          clerk: ['nucleus:read'],
          cashier: ['nucleus:read', 'nucleus:pay'],
        }
        const { requested_scopes: requested } = input.context
        expect(requested.every((wanted) => edge.includes(wanted))).toBe(true)
        expect(
          (input.principal.labels ?? []).some((held) =>
            requested.every((wanted) => roles[held]?.includes(wanted)),
          ),
        ).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  test('without grants only a workload is allowed anything', () => {
    const bare = { app_ids: 'app_ids := {}' }
    fc.assert(
      fc.property(anyInput, (input) => {
        if (input.principal.type !== 'Workload') expect(allowed(bare, input)).toBe(false)
      }),
    )
  })

  test('whatever the input looks like, a decision is reached or fails, and never throws', () => {
    const bundle = bundleOf(file.documents)
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('principal', 'resource', 'action', 'context', 'delegation_edge'),
          fc.anything(),
        ),
        (input) => {
          const decision = decide(bundle, completeInput(input))
          expect(['deny', 'error', 'allow']).toContain(decision.decision)
          if (decision.decision === 'allow') throw new Error('arbitrary input was allowed')
        },
      ),
    )
  })
})
