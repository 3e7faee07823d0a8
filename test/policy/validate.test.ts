import { describe, expect, test } from 'vitest'
import { MAX_DOCUMENT_CHARS, policyTemplates, validateDocument } from '../../src/policy/index.ts'
import { readCases } from './cases.ts'

interface Cases {
  readonly cases: readonly { readonly name: string; readonly content: string; readonly code?: string }[]
}

const header = '# caracal:data-document\npackage caracal.authz\n'

describe('authoring codes', () => {
  for (const { name, content, code } of readCases<Cases>('validate').cases) {
    test(`${code ?? 'accepted'}: ${name}`, () => {
      const result = validateDocument(content)
      expect(result.ok ? undefined : result.code).toBe(code)
    })
  }

  test('content_too_large: one character more than allowed', () => {
    const fill = (length: number) => `${header}restrict := {}\n#`.padEnd(length, 'x')
    expect(validateDocument(fill(MAX_DOCUMENT_CHARS)).ok).toBe(true)
    expect(validateDocument(fill(MAX_DOCUMENT_CHARS + 1))).toMatchObject({ code: 'content_too_large' })
  })
})

test('a preview names the rules, sorted and once', () => {
  const result = validateDocument(`${header}risk := []\napp_ids := {}\nrisk := []\n`)
  expect(result.ok && result.preview).toEqual({
    package: 'caracal.authz',
    rules: ['app_ids', 'risk'],
    default_result: false,
    decisions: [],
    inputs_referenced: [],
    data_referenced: [],
  })
})

test('values that can grant nothing are accepted with a warning', () => {
  const warned = (rules: string) => {
    const result = validateDocument(header + rules)
    return result.ok ? result.warnings : [result.code]
  }
  expect(warned('grants := {"r":{"roles":{}}}')).toEqual([expect.stringContaining('no application')])
  expect(warned('app_ids := ["a"]')).toHaveLength(1)
  expect(warned('confinement := [{}]')).toHaveLength(1)
  expect(warned('restrict := {"x"}')).toHaveLength(1)
  expect(warned('risk := [{"scope":"a","tier":"b"},{"scope":"a","tier":"c"}]')).toHaveLength(1)
  expect(warned('approval_tiers := [{"tier":"a","approver":"boss"}]')).toHaveLength(1)
  expect(warned('grants := {"r":{"application":"a","roles":{"l":["s"]}}}\nrestrict := {}')).toEqual([])
})

test('values that do not say what they seem to say are accepted with a warning', () => {
  const warned = (rules: string) => {
    const result = validateDocument(header + rules)
    return result.ok ? result.warnings : [result.code]
  }
  for (const rules of [
    'restrict := false',
    'default restrict := false\nrestrict if input.action.method == "POST"',
  ])
    expect(warned(rules)).toEqual([expect.stringContaining('false denies every exchange')])
  expect(warned('default restrict := []\nrestrict := ["x"] if input.session')).toEqual([])
  expect(warned('default risk := "x"\nrisk := [] if input.session')).toHaveLength(1)
  expect(warned('confinement := [{"label_prefix":"a","scope":["s"]}]')).toEqual([
    expect.stringContaining('entries with scope'),
  ])
  expect(warned('approval_tiers := [{"tier":"a","aprover":"subject"}]')).toEqual([
    expect.stringContaining('entries with aprover'),
  ])
  const risk = 'risk := [{"scope":"r:pay","tier":"Money"}]'
  expect(warned(`${risk}\napproval_tiers := [{"tier":"money"}]`)).toEqual([
    expect.stringContaining('does not declare tier Money'),
  ])
  expect(warned(risk)).toEqual([])
})

test('every template passes', () => {
  expect(policyTemplates.map(({ id }) => id)).toEqual([
    'application-bindings',
    'resource-grants',
    'label-confinement',
    'zone-restriction',
    'approval-gates',
  ])
  for (const { content } of policyTemplates)
    expect(validateDocument(content)).toMatchObject({ ok: true, warnings: [] })
})
