import { describe, expect, test } from 'vitest'
import { policyEngine } from '../../../src/policy/index.ts'
import { readCases } from '../cases.ts'

interface Cases {
  readonly cases: readonly {
    readonly name: string
    readonly rules: string
    readonly at: string
    readonly message: string
  }[]
}

describe('refused', () => {
  for (const { name, rules, at, message } of readCases<Cases>('rego-refused').cases) {
    test(name, () => {
      const content = rules.startsWith('import')
        ? `package t\n\n${rules}\n`
        : `package t\nimport rego.v1\n${rules}\n`
      const result = policyEngine.compile([
        { id: 'other', content: 'package other\nx := 1' },
        { id: 'bad', content },
      ])
      if (result.ok) throw new Error('accepted')
      expect(`${result.module} ${result.line}:${result.column}`, result.message).toBe(`bad ${at}`)
      expect(result.message).toContain(message)
    })
  }

  test('the second of two modules that define one package path and one rule alike', () => {
    const result = policyEngine.compile([
      { id: 'outer', content: 'package a\nb := 1' },
      { id: 'inner', content: 'package a.b\nc := 1' },
    ])
    expect(result).toMatchObject({
      ok: false,
      module: 'inner',
      message: expect.stringContaining('path of a rule'),
    })
  })
})
