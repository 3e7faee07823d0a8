import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { policyEngine, validateDocument } from '../../../src/policy/index.ts'
import { readCases } from '../cases.ts'
import { drawModule } from './random-module.ts'

const runs = Number(process.env.POLICY_FUZZ_RUNS ?? 150)

/** Compiling never throws, and what is refused has a position inside the text. */
function expectAnswer(content: string): void {
  const started = process.cpuUsage()
  const result = policyEngine.compile([{ id: 'fuzz', content }])
  if (!result.ok) {
    const lines = content.split('\n')
    expect(result.line).toBeGreaterThanOrEqual(1)
    expect(result.line).toBeLessThanOrEqual(lines.length)
    expect(result.column).toBeGreaterThanOrEqual(1)
    expect(result.column).toBeLessThanOrEqual((lines[result.line - 1] ?? '').length + 1)
  } else {
    for (const entrypoint of result.bundle.entrypoints) result.bundle.evaluate(entrypoint, { a: [1], s: 'x' })
  }
  validateDocument(content)
  // Processor time, in microseconds: a busy machine proves nothing.
  expect(process.cpuUsage(started).user).toBeLessThan(5_000_000)
}

const words = [
  'package t',
  '\n',
  ' ',
  'import rego.v1\n',
  'p',
  'q',
  'x',
  '_',
  ':=',
  '=',
  '==',
  '!=',
  '<',
  'if',
  '{',
  '}',
  '[',
  ']',
  '(',
  ')',
  ',',
  ';',
  ':',
  '.',
  '|',
  '&',
  '+',
  '-',
  '*',
  '/',
  '%',
  'not ',
  'some ',
  'in ',
  'every ',
  'else ',
  'contains ',
  'default ',
  'with ',
  'as ',
  'input',
  'data',
  'input.a',
  '"s"',
  '`r`',
  '1',
  '1.5',
  '-1',
  'true',
  'null',
  'set()',
  '#c\n',
  'count',
  'startswith',
  '"',
  '`',
  '\\',
  '\u0000',
  '😀',
]

describe('the parser', { timeout: 60_000 }, () => {
  test('answers any text', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 200 }),
      fc.string({ unit: 'binary-ascii', maxLength: 200 }),
    )
    fc.assert(fc.property(text, expectAnswer), { numRuns: runs })
  })

  test('answers any sequence of words', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words), { maxLength: 60 }), (parts) =>
        expectAnswer(`package t\n${parts.join('')}`),
      ),
      { numRuns: runs * 3 },
    )
  })

  test('answers modules with a piece removed, doubled or exchanged', () => {
    const { cases } = readCases<{ cases: { rules: string }[] }>('rego')
    const place = fc.nat({ max: 2000 })
    fc.assert(
      fc.property(fc.constantFrom(...cases), place, place, place, ({ rules }, from, length, to) => {
        const text = `package t\n${rules}`
        const start = from % text.length
        const piece = text.slice(start, start + (length % 20))
        const at = to % text.length
        expectAnswer(text.slice(0, start) + text.slice(start + piece.length))
        expectAnswer(text.slice(0, at) + piece + text.slice(at))
      }),
      { numRuns: runs },
    )
  })

  test('answers random modules', () => {
    fc.assert(
      fc.property(fc.gen(), (g) => expectAnswer(`package t\n${drawModule(g).rules}`)),
      { numRuns: runs },
    )
  })

  test('answers deep and long texts quickly', () => {
    const deep = (open: string, close: string, count: number): string =>
      `package t\np := ${open.repeat(count)}1${close.repeat(count)}`
    for (const [open, close] of [
      ['[', ']'],
      ['{', '}'],
      ['(', ')'],
      ['{"a":', '}'],
      ['[1 | ', ']'],
      ['f(', ')'],
      ['-', ''],
    ] as const) {
      expectAnswer(deep(open, close, 90))
      expectAnswer(deep(open, close, 20_000))
    }
    expectAnswer(`package t\np := ${'1 + '.repeat(20_000)}1`)
    expectAnswer(`package t\np := x${'[0]'.repeat(20_000)}`)
    expectAnswer(
      `package t\np if {\n${Array.from({ length: 480 }, (_, index) => `x${index} = x${index + 1} + 1`).join('\n')}\nx480 = 1\n}`,
    )
    expectAnswer(`package t\np if {\n${'true\n'.repeat(20_000)}}`)
    expectAnswer(
      `package t\n${Array.from({ length: 5_000 }, (_, index) => `p${index} := p${index + 1}`).join('\n')}`,
    )
    expectAnswer(
      `package t\np if ${Array.from({ length: 40 }, (_, index) => `[a${index}, [b${index}, `).join('')}1${']]'.repeat(40)} = input`,
    )
  })
})
