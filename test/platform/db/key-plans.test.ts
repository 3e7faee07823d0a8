/** Plans made before a table has statistics are kept while it grows: they must go by the key from the start. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
})

test.each(['authority_records', 'agent_sessions', 'delegation_edges', 'applications'])(
  'a foreign key check on an empty %s looks up the key (zone_id, id)',
  async (table) => {
    const { admin } = database
    await admin.unsafe('set plan_cache_mode = force_generic_plan')
    await admin.unsafe(
      `prepare probe_${table}(text, text) as
       select 1 from only ${table} x where zone_id = $1 and id = $2 for key share of x`,
    )
    const plan = await admin.unsafe(`explain execute probe_${table}('a', 'b')`)
    expect(plan.map((row) => row['QUERY PLAN']).join('\n')).toContain(`using ${table}_zone_id_id_key on`)
  },
)
