import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { policyEngine } from '../../../src/policy/index.ts'
import { readCases } from '../cases.ts'
import { evaluateAll } from './evaluate-all.ts'
import { findOpa, type Opa, startOpa } from './opa.ts'

interface Cases {
  readonly input: unknown
  readonly cases: readonly {
    readonly name: string
    readonly rules: string
    readonly expect?: Readonly<Record<string, unknown>>
    readonly conflict?: true
  }[]
}

const { input, cases } = readCases<Cases>('rego')
const moduleOf = (rules: string): string => `package t\n\nimport rego.v1\n\n${rules}`

describe('the engine', () => {
  for (const { name, rules, expect: values } of cases) {
    test(name, () => {
      const answer = evaluateAll(policyEngine, 't', moduleOf(rules), input)
      if (values === undefined)
        expect(answer).toMatchObject({ kind: 'failed', message: expect.stringContaining('conflict') })
      else expect(answer).toEqual({ kind: 'value', value: values })
    })
  }
})

const found = findOpa()

describe.skipIf(found.path === null)('the reference implementation agrees', () => {
  let opa: Opa
  beforeAll(async () => {
    opa = await startOpa(found.path ?? '')
  })
  afterAll(async () => {
    await opa[Symbol.asyncDispose]()
  })

  for (const { name, rules, expect: values } of cases) {
    test(name, async () => {
      const answer = await opa.evaluate('t', moduleOf(rules), input)
      if (values === undefined)
        expect(answer).toMatchObject({ kind: 'failed', message: expect.stringContaining('conflict') })
      else expect(answer).toEqual({ kind: 'value', value: values })
    })
  }
})

test.runIf(found.path === null)('the comparison with the reference implementation is skipped', () => {
  console.warn('reason' in found ? found.reason : '')
})
