import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { formatArray, parseArray } from '../../../src/platform/db/array-types.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database[Symbol.asyncDispose]())

const texts = fc.array(
  fc.option(fc.string({ unit: fc.constantFrom('a', '"', '\\', ',', '{', '}', ' ', 'NULL', 'ü', '\n') }), {
    nil: null,
  }),
)

test('any list of texts comes back from our own reading', () => {
  fc.assert(
    fc.property(texts, (list) => {
      expect(parseArray(formatArray(list), (text) => text)).toEqual(list)
    }),
  )
})

test('any list of texts comes back from Postgres', async () => {
  await fc.assert(
    fc.asyncProperty(texts, async (list) => {
      const [row] = await database.db.sql`select ${list as string[]}::text[] as list`
      expect(row?.list).toEqual(list)
    }),
    { numRuns: 100 },
  )
})

test('arrays of each type', async () => {
  const instant = new Date('2026-05-21T12:00:01.234Z')
  const { sql } = database.db
  const [row] = await sql`
    select ${[1, 2]}::int[] as ints, ${['9007199254740993']}::bigint[] as bigs, ${[1.5]}::float8[] as floats,
           '{t,f,NULL}'::bool[] as bools, ${sql.array([instant])}::timestamptz[] as instants,
           ${sql.array([Buffer.from([0, 92, 34])])}::bytea[] as bytes, ${sql.array(['a', 'b'])} as texts,
           array['{"a":[1,"x"]}'::jsonb] as bodies, '{{1,2},{3,4}}'::int[] as nested, '[2:3]={5,6}'::int[] as bounded,
           ${[] as string[]}::text[] as none, array(select 'x'::name) as names`
  expect(row).toEqual({
    ints: [1, 2],
    bigs: ['9007199254740993'],
    floats: [1.5],
    bools: [true, false, null],
    instants: [instant],
    bytes: [Buffer.from([0, 92, 34])],
    texts: ['a', 'b'],
    bodies: [{ a: [1, 'x'] }],
    nested: [
      [1, 2],
      [3, 4],
    ],
    bounded: [5, 6],
    none: [],
    names: ['x'],
  })
})
