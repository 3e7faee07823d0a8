/**
 * The declared tables and the migrated database say the same: one database is made from the
 * Drizzle schema alone, the other by the migrations, and Postgres describes both.
 */
import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api'
import type postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as schema from '../../../src/platform/db/schema/index.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

let migrated: TestDatabase
let declared: TestDatabase

beforeAll(async () => {
  migrated = await createTestDatabase()
  declared = await createTestDatabase({ empty: true })
  const statements = await generateMigration(generateDrizzleJson({}), generateDrizzleJson({ ...schema }))
  await declared.admin.unsafe(statements.join('\n')).simple()
})
afterAll(async () => {
  await declared[Symbol.asyncDispose]()
  await migrated[Symbol.asyncDispose]()
})

type Facts = Record<string, string>

async function columns(sql: postgres.Sql): Promise<Facts> {
  const rows = await sql<{ name: string; fact: string }[]>`
    select c.relname || '.' || a.attname as name,
           concat_ws(' ', format_type(a.atttypid, a.atttypmod),
                     case when a.attnotnull then 'not null' end,
                     'default ' || pg_get_expr(d.adbin, d.adrelid),
                     'identity ' || nullif(a.attidentity::text, '')) as fact
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and a.attnum > 0 and not a.attisdropped`
  return Object.fromEntries(rows.map((row) => [row.name, row.fact]))
}

async function constraints(sql: postgres.Sql): Promise<Facts> {
  const rows = await sql<{ name: string; fact: string }[]>`
    select k.conrelid::regclass || '.' || k.conname as name, pg_get_constraintdef(k.oid) as fact
    from pg_constraint k
    join pg_class c on c.oid = k.conrelid
    where c.relnamespace = 'public'::regnamespace and not c.relispartition and k.contype not in ('n', 't') and k.conparentid = 0`
  return Object.fromEntries(rows.map((row) => [row.name, row.fact]))
}

async function indexes(sql: postgres.Sql): Promise<Facts> {
  const rows = await sql<{ name: string; fact: string }[]>`
    select i.relname as name, pg_get_indexdef(x.indexrelid) as fact
    from pg_index x
    join pg_class i on i.oid = x.indexrelid
    join pg_class c on c.oid = x.indrelid
    where c.relnamespace = 'public'::regnamespace and not c.relispartition`
  return Object.fromEntries(rows.map((row) => [row.name, row.fact]))
}

test('the same tables and columns, with type, null, default and identity', async () => {
  const facts = await columns(migrated.admin)
  expect(Object.keys(facts).length).toBeGreaterThan(400)
  expect(facts).toEqual(await columns(declared.admin))
})

test('the same keys, references and checks; SET NULL clears only the referring column', async () => {
  const facts = await constraints(migrated.admin)
  const narrowed = Object.fromEntries(
    Object.entries(facts).map(([name, fact]) => [
      name,
      fact.replace(/ON DELETE SET NULL \(\w+\)/, 'ON DELETE SET NULL'),
    ]),
  )
  expect(narrowed).toEqual(await constraints(declared.admin))
  const setNull = Object.values(facts).filter((fact) => fact.includes('SET NULL'))
  expect(setNull).toHaveLength(4)
  for (const fact of setNull) expect(fact).toMatch(/ON DELETE SET NULL \(\w+\)$/)
})

test('the same indexes; an open challenge counts nulls as equal', async () => {
  const facts = await indexes(migrated.admin)
  expect(facts.step_up_challenges_open_key).toContain('NULLS NOT DISTINCT')
  const plain = Object.fromEntries(
    // A partitioned table's index is printed as ON ONLY.
    Object.entries(facts).map(([name, fact]) => [name, fact.replace(' ON ONLY ', ' ON ')]),
  )
  plain.step_up_challenges_open_key =
    plain.step_up_challenges_open_key?.replace(' NULLS NOT DISTINCT', '') ?? ''
  expect(plain).toEqual(await indexes(declared.admin))
})

test('names are whole: nothing was cut at 63 bytes', async () => {
  for (const name of Object.keys({
    ...(await indexes(migrated.admin)),
    ...(await constraints(migrated.admin)),
  })) {
    expect(name.split('.').at(-1)?.length).toBeLessThanOrEqual(62)
  }
})

test('evidence is partitioned, ephemera is unlogged, every table with a zone is bound by row security', async () => {
  const [kinds] = await migrated.admin`
    select (select relkind::text from pg_class where oid = 'audit_events'::regclass) as audit_events,
           (select relpersistence::text from pg_class where oid = 'ephemera'::regclass) as ephemera`
  expect(kinds).toEqual({ audit_events: 'p', ephemera: 'u' })
  const open = await migrated.admin<{ name: string }[]>`
    select c.relname as name
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'zone_id'
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and not (c.relrowsecurity and c.relforcerowsecurity
               and exists (select 1 from pg_policy p where p.polrelid = c.oid and p.polname = 'zone_isolation'))`
  expect(open.map((row) => row.name)).toEqual([])
})
