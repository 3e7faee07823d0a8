import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  compileBundle,
  DEPTH_BUDGET,
  type DecisionInput,
  decide,
  denyReason,
  policyEngine,
  STEP_BUDGET,
  TIME_BUDGET_MS,
  validateDocument,
} from '../../src/policy/index.ts'
import { bundleOf, mergePatch, readCases } from './cases.ts'

type Patch = Parameters<typeof mergePatch>[0]

const { documents, inputs } = readCases<{
  documents: Record<string, string>
  inputs: Record<string, Patch>
}>('decide')

const inputOf = (name: string, patch: Patch = {}): DecisionInput =>
  mergePatch(inputs[name] ?? null, patch) as unknown as DecisionInput

/** Loops that never end within any budget. */
const runaway = `restrict contains x if {
  input.principal.id
  some a in numbers; some b in numbers; some c in numbers; some d in numbers
  x := a + b + c + d
  x < 0
}`.replaceAll('numbers', JSON.stringify(Array.from({ length: 50 }, (_, index) => index)))

describe('documents that are rules', () => {
  test('a restriction on the principal restricts that principal only', () => {
    const bundle = bundleOf({
      ...documents,
      restrict: 'restrict contains "x" if { input.principal.id == "app-pay" }',
    })
    for (const name of ['bootstrap', 'mint', 'use']) {
      expect(denyReason(decide(bundle, inputOf(name)))).toBe('restriction_active')
    }
    expect(denyReason(decide(bundle, inputOf('bootstrap', { principal: { id: 'app-other' } })))).toBe(
      'no_rule_matched',
    )
    expect(decide(bundle, inputOf('run')).decision).toBe('allow')
  })

  test('a restriction without a solution restricts nothing, one without a value either', () => {
    for (const restrict of [
      'restrict contains "x" if false',
      'restrict := {"x"} if input.principal.id == "nobody"',
      'default restrict := {}\nrestrict := {"x"} if false',
    ]) {
      expect(decide(bundleOf({ ...documents, restrict }), inputOf('mint')).decision).toBe('allow')
    }
  })

  test('grants, bindings, confinement, risk and tiers may all be computed', () => {
    const bundle = bundleOf({
      app_ids: 'app_ids[name] := id if { some name, id in {"pay": "app-pay"} }',
      grants: `grants := {identifier: grant |
        some identifier in ["resource://nucleus", "resource://other"]
        grant := {"application": "pay", "roles": {"cashier": {s | some s in ["nucleus:pay", "nucleus:read"]}}}
      }`,
      confinement:
        'confinement := [{"label_prefix": "x", "scopes": []} | input.action.id == "TokenExchange"]',
      risk: 'risk contains {"scope": s, "tier": "money"} if { some s in input.context.requested_scopes; endswith(s, ":pay") }',
      approval_tiers: 'approval_tiers := [{"tier": "money", "ttl_seconds": 60 * 2}]',
    })
    expect(decide(bundle, inputOf('bootstrap'))).toMatchObject({
      determining_policies: [{ policy: 'caracal-bootstrap' }],
    })
    expect(decide(bundle, inputOf('mint'))).toEqual({
      decision: 'allow',
      evaluation_status: 'complete',
      determining_policies: [{ policy: 'caracal-pay-mint' }],
      diagnostics: [
        { step_up_required: { type: 'human_approval', tiers: [{ tier: 'money', ttl_seconds: 120 }] } },
        { risk: [{ scope: 'nucleus:pay', tier: 'money' }] },
      ],
    })
    expect(denyReason(decide(bundle, inputOf('mint', { principal: { labels: ['clerk'] } })))).toBe(
      'role_scope_mismatch',
    )
    expect(denyReason(decide(bundle, inputOf('mint', { principal: { labels: ['xyz'] } })))).toBe(
      'confinement_violation',
    )
    expect(denyReason(decide(bundle, inputOf('mint', { resource: { identifier: 'x' } })))).toBe(
      'resource_not_granted',
    )
    expect(decide(bundle, inputOf('use'))).toMatchObject({
      determining_policies: [{ policy: 'caracal-pay-use' }],
    })
  })

  test('rules of several documents come together, and may read each other', () => {
    const bundle = bundleOf({
      ...documents,
      first: 'restrict contains "a" if input.resource.identifier == "resource://foreign"',
      second: 'restrict contains "b" if not grants[input.resource.identifier]',
    })
    expect(decide(bundle, inputOf('mint')).decision).toBe('allow')
    for (const identifier of ['resource://foreign', 'resource://unknown']) {
      expect(denyReason(decide(bundle, inputOf('mint', { resource: { identifier } })))).toBe(
        'restriction_active',
      )
    }
  })

  test('two values for one document cannot be decided', () => {
    const bundle = bundleOf({
      ...documents,
      risk: 'risk := [] if input.action.id\nrisk := [1] if input.principal.id',
    })
    expect(decide(bundle, inputOf('mint'))).toMatchObject({
      decision: 'error',
      evaluation_status: 'policy_eval_failed',
      diagnostics: [{ error: expect.stringContaining('caracal.authz.risk') }],
    })
    expect(decide(bundle, inputOf('bootstrap')).decision).toBe('allow')
  })

  test('unconditional values that differ are found when the bundle is made', () => {
    const content = 'package caracal.authz\nrisk := [] if input.x\nrisk := [1]\nrisk := [2]'
    expect(compileBundle([{ id: 'pv-1', content }])).toMatchObject({ ok: false, documentId: 'pv-1' })
  })

  test('what does not read the input is evaluated when the bundle is made, and must succeed there', () => {
    const bundleOfRules = (rules: string) =>
      compileBundle([{ id: 'pv-1', content: `package caracal.authz\n${rules}` }])
    const numbers = JSON.stringify(Array.from({ length: 60 }, (_, index) => index))
    expect(bundleOfRules('risk := [1] if true\nrisk := [2] if not false')).toMatchObject({
      ok: false,
      detail: 'caracal.authz.risk has two different values',
    })
    expect(
      bundleOfRules(
        `restrict contains x if { some x in ${numbers}; some y in ${numbers}; some z in ${numbers}; x > y + z }`,
      ),
    ).toMatchObject({
      ok: false,
      detail: expect.stringContaining('steps'),
    })
    expect(bundleOfRules('risk := [1] if input.x\nrisk := [2] if not input.x')).toMatchObject({ ok: true })
    const roles =
      'grants[k] := {"application": v, "roles": {"cashier": ["nucleus:pay"]}} if some k, v in {"resource://nucleus": "pay"}'
    expect(decide(bundleOf({ ...documents, grants: roles }), inputOf('mint')).decision).toBe('allow')
  })

  test('what cannot be evaluated makes the bundle invalid, at its place', () => {
    const content = 'package caracal.authz\nrestrict contains "x" if time.now_ns() > 0'
    expect(compileBundle([{ id: 'pv-1', content }])).toMatchObject({
      documentId: 'pv-1',
      detail: 'pv-1: 2:26: time.now_ns is not a known function',
    })
  })

  test('a preview names what is read', () => {
    const rules =
      'restrict contains "x" if { input.principal.labels[_] == "y"; not data.caracal.authz.grants[input.resource.identifier] }'
    const result = validateDocument(`# caracal:data-document\npackage caracal.authz\n${rules}\n`)
    expect(result).toMatchObject({
      ok: true,
      preview: {
        rules: ['restrict'],
        inputs_referenced: ['input.principal.labels', 'input.resource.identifier'],
        data_referenced: ['data.caracal.authz.grants'],
      },
    })
  })
})

test('a further rule of restriction or confinement never turns a denial into an allow', () => {
  const condition = fc.constantFrom(
    'input.principal.id == "app-pay"',
    'some s in input.context.requested_scopes; endswith(s, ":pay")',
    'not input.delegation_edge',
    'input.action.method != "POST"',
    'count(input.principal.labels) > 1',
    'input.context.subject_claims.scope == "nucleus:pay"',
    'data.caracal.authz.grants[input.resource.identifier].application == "pay"',
  )
  const rule = fc.oneof(
    condition.map((body) => `restrict contains "x" if { ${body} }`),
    condition.map((body) => `confinement contains {"label_prefix": "", "scopes": []} if { ${body} }`),
  )
  const name = fc.constantFrom('bootstrap', 'mint', 'use', 'run')
  const principal = fc.constantFrom('app-pay', 'app-other')
  const labels = fc.array(fc.constantFrom('clerk', 'cashier'), { maxLength: 2 })
  fc.assert(
    fc.property(
      fc.array(rule, { minLength: 1, maxLength: 3 }),
      name,
      principal,
      labels,
      (rules, base, id, held) => {
        const input = inputOf(base, { principal: { id, labels: held } })
        const before = decide(bundleOf(documents), input).decision
        const after = decide(bundleOf({ ...documents, further: rules.join('\n') }), input).decision
        expect(after === 'allow' && before !== 'allow').toBe(false)
      },
    ),
    { numRuns: 200 },
  )
})

describe('budgets', () => {
  test('a runaway document ends in an error within its steps', () => {
    const started = process.cpuUsage()
    const decision = decide(bundleOf({ ...documents, restrict: runaway }), inputOf('mint'))
    expect(decision).toMatchObject({
      decision: 'error',
      diagnostics: [{ error: expect.stringContaining(`${STEP_BUDGET} steps`) }],
    })
    expect(process.cpuUsage(started).user).toBeLessThan(2_000_000)
  })

  test('with a clock it ends in time, and the clock is read rarely', () => {
    let readings = 0
    const now = (): number => {
      readings += 1
      return readings * TIME_BUDGET_MS
    }
    const decision = decide(bundleOf({ ...documents, restrict: runaway }), inputOf('mint'), { now })
    expect(decision).toMatchObject({
      decision: 'error',
      diagnostics: [{ error: expect.stringContaining(`${TIME_BUDGET_MS} ms`) }],
    })
    expect(readings).toBe(3)
  })

  const spend = (rules: string, input: unknown = {}) => {
    const compiled = policyEngine.compile([{ id: 'm', content: `package t\n${rules}` }])
    if (!compiled.ok) throw new Error(compiled.message)
    return compiled.bundle.evaluate('t.p', input)
  }

  test('rules may be nested as deep as the budget says', () => {
    const chain = (length: number): string =>
      Array.from({ length }, (_, index) =>
        index === length - 1 ? `r${index} := 1` : `r${index} := r${index + 1}`,
      ).join('\n')
    expect(spend(`p := r0\n${chain(DEPTH_BUDGET - 1)}`)).toMatchObject({ ok: true, value: 1 })
    expect(spend(`p := r0\n${chain(DEPTH_BUDGET)}`)).toMatchObject({ ok: false, kind: 'budget' })
  })

  test('built-ins pay for their work: texts that double, patterns, long arithmetic', () => {
    const doubling = Array.from(
      { length: 40 },
      (_, index) => `x${index + 1} := concat("", [x${index}, x${index}])`,
    ).join('\n  ')
    expect(spend(`p := count(x40) if {\n  x0 := "0123456789abcdef"\n  ${doubling}\n}`)).toMatchObject({
      kind: 'budget',
    })
    const text = 'a'.repeat(60_000)
    expect(spend('p if regex.match("(a|a)*(a|a)*(a|a)*(a|a)*b", input.t)', { t: text })).toMatchObject({
      kind: 'budget',
    })
    expect(spend('p if regex.match("^(a+)+$", input.t)', { t: `${'a'.repeat(200)}b` })).toMatchObject({
      ok: true,
      defined: false,
    })
    const many = JSON.stringify(Array.from({ length: 400 }, (_, index) => index + 0.1))
    expect(spend(`p := sum([c | some a in ${many}; some b in ${many}; c := a * b])`)).toMatchObject({
      kind: 'budget',
    })
  })

  test('entry points of one evaluation share a budget and what was computed', () => {
    const loops = (count: number): string =>
      `{x | some a in numbers; some b in numbers; x := a * b; x == ${count}}`.replaceAll(
        'numbers',
        JSON.stringify(Array.from({ length: 130 }, (_, index) => index)),
      )
    const compiled = policyEngine.compile([
      { id: 'm', content: `package t\np := ${loops(1)}\nq := ${loops(2)}\nr := p` },
    ])
    if (!compiled.ok) throw new Error(compiled.message)
    const evaluation = compiled.bundle.begin({})
    expect(evaluation.evaluate('t.p')).toMatchObject({ ok: true })
    expect(evaluation.evaluate('data.t.r')).toMatchObject({ ok: true, value: [1] })
    expect(evaluation.evaluate('t.q')).toMatchObject({ ok: false, kind: 'budget' })
    expect(compiled.bundle.evaluate('t.q', {})).toMatchObject({ ok: true })
  })
})
