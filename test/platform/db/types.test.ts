import { and, eq, sql as fragment } from 'drizzle-orm'
import { bigint, pgTable, text } from 'drizzle-orm/pg-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bytea, jsonb, textArray, timestamptz } from '../../../src/platform/db/schema/columns.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

const samples = pgTable('type_samples', {
  id: text('id').primaryKey(),
  at: timestamptz('at'),
  body: jsonb('body'),
  big: bigint('big', { mode: 'number' }),
  tags: textArray('tags'),
  raw: bytea('raw'),
})

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
  await database.admin.unsafe(`
    create table type_samples (id text primary key, at timestamptz, body jsonb, big bigint, tags text[] not null default '{}', raw bytea);
    grant all on type_samples to caracal_app`)
})
afterAll(() => database[Symbol.asyncDispose]())

const instant = new Date('2026-05-21T12:00:01.234Z')
const bodies: unknown[] = [
  { a: [1, null, { b: 'ü"' }] },
  [],
  'text',
  '123',
  '{"not":"parsed"}',
  7,
  true,
  null,
]

describe('raw statements', () => {
  test('timestamptz reads as Date, bigint as string, arrays and bytes as such', async () => {
    const [row] = await database.db.sql`
      select ${instant}::timestamptz as at, 9007199254740993::bigint as big,
             ${['a', 'b"c', 'd,e']}::text[] as tags, ${Buffer.from([0, 255])}::bytea as raw`
    expect(row?.at).toEqual(instant)
    expect(row?.big).toBe('9007199254740993')
    expect(row?.tags).toEqual(['a', 'b"c', 'd,e'])
    expect(row?.raw).toEqual(Buffer.from([0, 255]))
  })

  test('a text instant keeps its microseconds', async () => {
    const [row] = await database.db.sql`
      select (${'2026-05-21T12:00:01.234567Z'}::timestamptz)::text as at`
    expect(row?.at).toBe('2026-05-21 12:00:01.234567+00')
  })

  test.each(bodies.map((body) => [JSON.stringify(body), body]))('jsonb parameter %s', async (_, body) => {
    const once = () => database.db.sql`
      select ${JSON.stringify(body)}::jsonb as body, jsonb_typeof(${JSON.stringify(body)}::jsonb) as kind`
    // The first call describes the statement, the second reuses it prepared.
    for (const [row] of [await once(), await once()]) {
      expect(row?.body).toEqual(body)
      expect(row?.kind).toBe(
        body === null
          ? 'null'
          : Array.isArray(body)
            ? 'array'
            : typeof body === 'object'
              ? 'object'
              : typeof body,
      )
    }
  })

  test('sql.json and multi-row inserts', async () => {
    await database.db.sql`insert into type_samples ${database.db.sql([
      { id: 'm1', body: database.db.sql.json({ n: 1 }), at: instant },
      { id: 'm2', body: database.db.sql.json([2]), at: null },
    ])}`
    const rows = await database.db
      .sql`select id, body, at from type_samples where id in ('m1', 'm2') order by id`
    expect(rows.map((row) => ({ ...row }))).toEqual([
      { id: 'm1', body: { n: 1 }, at: instant },
      { id: 'm2', body: [2], at: null },
    ])
  })
})

describe('Drizzle on the same pool', () => {
  test.each(bodies.filter((body) => body !== null).map((body, n) => [JSON.stringify(body), body, n]))(
    'jsonb column %s',
    async (_, body, n) => {
      await database.db.orm.insert(samples).values({ id: `j${n}`, body })
      const [row] = await database.db.orm
        .select()
        .from(samples)
        .where(eq(samples.id, `j${n}`))
      expect(row?.body).toEqual(body)
      const [raw] = await database.db.sql`select body from type_samples where id = ${`j${n}`}`
      expect(raw?.body).toEqual(body)
    },
  )

  test('dates, bigints, arrays and bytes go both ways', async () => {
    const values = { id: 'all', at: instant, big: 2 ** 40, tags: ['x', 'y z'], raw: Buffer.from('raw') }
    const [returned] = await database.db.orm.insert(samples).values(values).returning()
    expect(returned).toEqual({ ...values, body: null })
    const [found] = await database.db.orm
      .select()
      .from(samples)
      .where(and(eq(samples.at, instant), eq(samples.big, 2 ** 40)))
    expect(found).toEqual({ ...values, body: null })
    const [raw] = await database.db
      .sql`select at, tags from type_samples where at = ${instant} and big = ${2 ** 40}`
    expect(raw).toEqual({ at: instant, tags: ['x', 'y z'] })
  })

  test('a transaction handle follows the same rules', async () => {
    await database.db.transaction(async (tx) => {
      await tx.orm.insert(samples).values({ id: 'tx', at: instant, body: { k: 'v' } })
      const [row] = await tx.sql`select at, body from type_samples where id = 'tx'`
      expect(row).toEqual({ at: instant, body: { k: 'v' } })
      const [mapped] = await tx.orm.select({ at: samples.at }).from(samples).where(eq(samples.id, 'tx'))
      expect(mapped?.at).toEqual(instant)
    })
  })

  test('errors come as Postgres sent them, without the parameters', async () => {
    await database.db.orm.insert(samples).values({ id: 'dup', body: 'first' })
    const error = await database.db.orm
      .insert(samples)
      .values({ id: 'dup', body: 'cs_secret-value' })
      .then(() => null)
      .catch((thrown: unknown) => thrown as Error & { code?: string })
    expect(error).toMatchObject({ code: '23505' })
    expect(`${error?.message} ${error?.stack}`).not.toContain('cs_secret-value')
  })

  test('execute answers rows by the same rules', async () => {
    const rows = await database.db.orm.execute(fragment`select now() as at, '{"a":1}'::jsonb as body`)
    expect(rows[0]?.at).toBeInstanceOf(Date)
    expect(rows[0]?.body).toEqual({ a: 1 })
  })
})
