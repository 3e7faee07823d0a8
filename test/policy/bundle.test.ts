import { describe, expect, test } from 'vitest'
import { compileBundle } from '../../src/policy/index.ts'

const documents = (...rules: string[]) =>
  rules.map((rule, index) => ({ id: `pv-${index + 1}`, content: `package caracal.authz\n${rule}` }))

describe('several documents', () => {
  test('merge when they name different data, the same value, or parts of a set', () => {
    expect(compileBundle(documents('app_ids := {}', 'grants := {}')).ok).toBe(true)
    expect(compileBundle(documents('grants := {"a":{"b":1}}', 'grants := {"a":{"b":1.0}}')).ok).toBe(true)
    expect(compileBundle(documents('restrict contains "a"', 'restrict contains "b"')).ok).toBe(true)
  })

  test('conflict when one name has two values, and the later document is named', () => {
    expect(compileBundle(documents('grants := {}', 'app_ids := {}', 'grants := {"a":1}'))).toEqual({
      ok: false,
      code: 'invalid_policy_bundle',
      detail: 'pv-3: 2:1: grants has two different values',
      documentId: 'pv-3',
    })
    expect(compileBundle(documents('restrict := {"a"}', 'restrict contains "b"'))).toMatchObject({
      documentId: 'pv-2',
    })
    expect(compileBundle(documents('grants["a"] := 1', 'grants["a"] := 2'))).toMatchObject({
      documentId: 'pv-2',
    })
    expect(compileBundle(documents('default risk := []', 'default risk := 1'))).toMatchObject({
      documentId: 'pv-2',
    })
  })

  test('are refused when one cannot be read, or defines what is no data document', () => {
    expect(compileBundle([])).toMatchObject({ ok: false })
    expect(compileBundle(documents('grants := {'))).toMatchObject({ ok: false, documentId: 'pv-1' })
    expect(compileBundle(documents('app_ids := {}', 'allow := true'))).toMatchObject({ documentId: 'pv-2' })
    expect(compileBundle([{ id: 'pv-1', content: 'package other\ngrants := {}' }])).toMatchObject({
      ok: false,
    })
  })

  test('need no directive: only authoring asks for it', () => {
    expect(compileBundle(documents('restrict := {}')).ok).toBe(true)
  })
})
