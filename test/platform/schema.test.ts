import { expect, test } from 'vitest'
import * as v from '../../src/platform/schema.ts'

const member = v.optional(v.string())

test.each([
  ['object', v.object({ a: member })],
  ['looseObject', v.looseObject({ a: member })],
  ['strictObject', v.strictObject({ a: member })],
  ['record', v.record(v.string(), v.string())],
  ['a piped object', v.pipe(v.object({ a: member }), v.description('x'))],
  ['a derived object', v.partial(v.object({ a: v.string() }))],
])('%s takes objects and no arrays', (_name, schema) => {
  expect(v.safeParse(schema, { a: 'x' })).toMatchObject({ success: true, output: { a: 'x' } })
  for (const array of [[], ['x'], [{ a: 'x' }]]) {
    const { success, issues } = v.safeParse(schema, array)
    expect(success).toBe(false)
    expect(issues?.[0]).toMatchObject({ kind: 'schema', expected: 'Object', received: 'Array' })
  }
})

test('a derived schema checks what it was derived to, not what it was made of', () => {
  const picked = v.pick(v.strictObject({ a: v.string(), b: v.string() }), ['a'])
  expect(v.safeParse(picked, { a: 'x' }).success).toBe(true)
  expect(v.safeParse(picked, { a: 'x', b: 'y' }).success).toBe(false)
})
