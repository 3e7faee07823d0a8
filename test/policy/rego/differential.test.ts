import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { policyEngine } from '../../../src/policy/index.ts'
import { evaluateAll } from './evaluate-all.ts'
import { findOpa, type Opa, type OpaAnswer, startOpa } from './opa.ts'
import { drawModule } from './random-module.ts'

/** Cases of one run; `POLICY_DIFFERENTIAL_RUNS=10000` for the long one. */
const runs = Number(process.env.POLICY_DIFFERENTIAL_RUNS ?? 200)
const seed =
  process.env.POLICY_DIFFERENTIAL_SEED === undefined
    ? {}
    : { seed: Number(process.env.POLICY_DIFFERENTIAL_SEED) }

const found = findOpa()

describe.skipIf(found.path === null)('random modules', () => {
  let opa: Opa
  const tally = { values: 0, failed: 0, refused: 0, skipped: 0, stricter: 0 }
  beforeAll(async () => {
    opa = await startOpa(found.path ?? '')
  })
  afterAll(async () => {
    await opa[Symbol.asyncDispose]()
    console.info(`compared ${JSON.stringify(tally)}`)
  })

  test(
    `evaluate like the reference implementation (${runs} cases)`,
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.gen(), async (g) => {
          const { rules, input } = drawModule(g)
          const module = `package t\n\nimport rego.v1\n\n${rules}\n`
          const theirs = await opa.evaluate('t', module, input)
          if (isTypeError(theirs)) {
            // Only the reference implementation checks types before evaluating.
            tally.skipped += 1
            return
          }
          const ours = evaluateAll(policyEngine, 't', module, input)
          const context = `${module}\ninput ${JSON.stringify(input)}\nours ${JSON.stringify(ours)}\ntheirs ${JSON.stringify(theirs)}`
          if (ours.kind === 'failed' && theirs.kind === 'value' && ours.message.startsWith('conflict')) {
            // The reference implementation leaves out rules by their input references before it meets a
            // conflict in them; here the conflict counts, which denies.
            tally.stricter += 1
            return
          }
          expect(ours.kind, context).toBe(theirs.kind)
          if (ours.kind === 'value' && theirs.kind === 'value') {
            expect(ours.value, context).toEqual(theirs.value)
            tally.values += 1
          } else tally[ours.kind === 'failed' ? 'failed' : 'refused'] += 1
        }),
        // Shrinking asks the reference implementation thousands of times: only on request.
        { numRuns: runs, endOnFailure: process.env.POLICY_DIFFERENTIAL_SHRINK !== 'true', ...seed },
      )
    },
    30_000 + runs * 100,
  )
})

function isTypeError(answer: OpaAnswer): boolean {
  // A type error that only the whole query shows is reported without its code.
  if (answer.kind === 'failed') return answer.message.includes('compiler has errors')
  return answer.kind === 'refused' && answer.codes.includes('rego_type_error')
}

test.runIf(found.path === null)('the random comparison is skipped', () => {
  console.warn('reason' in found ? found.reason : '')
})
