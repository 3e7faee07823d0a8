import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../../src/platform/db/port.ts'
import {
  createTestDatabase,
  databaseSettings,
  silentLog,
  type TestDatabase,
} from '../../fixtures/database.ts'
import { clientOptions } from '../../fixtures/test-server.ts'
import { seedZone } from './seed-zone.ts'

// Every table whose rows belong to a zone. The first test proves that none is missing.
const zoneTables = [
  'admin_audit_events',
  'admin_tokens',
  'agent_invocations',
  'agent_services',
  'agent_session_labels',
  'agent_sessions',
  'api_keys',
  'applications',
  'audit_chain_cuts',
  'audit_chain_heads',
  'audit_dead_letters',
  'audit_event_labels',
  'audit_events',
  'audit_ingest_alerts',
  'audit_tamper_checkpoints',
  'audit_tree_blocks',
  'audit_tree_heads',
  'authority_records',
  'coordinator_idempotency_receipts',
  'definition_versions',
  'delegated_grants',
  'delegation_edges',
  'delegation_graph_epochs',
  'notification_deliveries',
  'notification_sinks',
  'policies',
  'policy_set_bindings',
  'policy_set_versions',
  'policy_sets',
  'policy_versions',
  'provider_connections',
  'providers',
  'resources',
  'role_bindings',
  'roles',
  'secret_store',
  'secrets',
  'service_accounts',
  'step_up_challenges',
  'subject_issuers',
  'subjects',
  'workloads',
  'zones',
]
const throughParent: Record<string, string> = {
  policy_versions: '(select p.zone_id from policies p where p.id = t.policy_id)',
  policy_set_versions: '(select s.zone_id from policy_sets s where s.id = t.policy_set_id)',
  zones: 't.id',
}
const zoneOf = (table: string) => throughParent[table] ?? 't.zone_id'
const neverChanged = [
  'admin_audit_events',
  'audit_chain_cuts',
  'audit_event_labels',
  'audit_events',
  'audit_tree_blocks',
  'audit_tree_heads',
  'policy_versions',
  'policy_set_versions',
]

let database: TestDatabase
let db: Database
beforeAll(async () => {
  database = await createTestDatabase()
  db = database.db
  await seedZone(database.admin, 'zone-a')
  await seedZone(database.admin, 'zone-b')
})
afterAll(() => database[Symbol.asyncDispose]())

/** All columns that may be written; the others are generated from these. */
async function writtenColumns(table: string): Promise<string> {
  const [row] = await database.admin<{ names: string }[]>`
    select string_agg(quote_ident(attname), ', ' order by attnum) as names
    from pg_attribute
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped and attgenerated = ''`
  return row?.names ?? ''
}

test('the list of tables is complete', async () => {
  const rows = await database.admin<{ name: string }[]>`
    select c.relname as name from pg_class c
    where c.relrowsecurity and c.relforcerowsecurity and c.relnamespace = 'public'::regnamespace`
  expect(rows.map((row) => row.name).sort()).toEqual(zoneTables)
})

test('the server runs as a role that row security binds', async () => {
  const [session] = await db.sql`
    select current_user::text as name, rolsuper or rolbypassrls as bypasses from pg_roles where rolname = current_user`
  expect(session).toEqual({ name: 'caracal_app', bypasses: false })
})

describe.each(zoneTables)('%s', (table) => {
  const count = async (zone: string, of: string): Promise<number> =>
    db.transaction(
      async (tx) => {
        const [row] = await tx.sql.unsafe<{ n: number }[]>(
          `select count(*)::int as n from ${table} t where ${zoneOf(table)} = $1`,
          [of],
        )
        return row?.n ?? -1
      },
      { zone },
    )

  test('a zone reads its own rows and no others', async () => {
    expect(await count('zone-a', 'zone-a')).toBeGreaterThan(0)
    expect(await count('zone-a', 'zone-b')).toBe(0)
    expect(await count('zone-a,zone-b', 'zone-b')).toBe(await count('zone-b', 'zone-b'))
    expect(await count('*', 'zone-b')).toBe(await count('zone-b', 'zone-b'))
    expect(await count('', 'zone-a')).toBe(0)
    const total = await db.transaction((tx) => tx.sql.unsafe(`select count(*)::int as n from ${table}`), {
      zone: 'zone-a',
    })
    expect(total[0]?.n).toBe(await count('zone-a', 'zone-a'))
  })

  test.runIf(!neverChanged.includes(table))('a zone changes and deletes nothing of another', async () => {
    const column = table === 'zones' ? 'id' : 'zone_id'
    const touched = await db.transaction(
      async (tx) => {
        const updated = await tx.sql.unsafe(
          `update ${table} set ${column} = ${column} where ${column} = 'zone-b'`,
        )
        const deleted = await tx.sql.unsafe(`delete from ${table} where ${column} = 'zone-b'`)
        return updated.count + deleted.count
      },
      { zone: 'zone-a' },
    )
    expect(touched).toBe(0)
    expect(await count('*', 'zone-b')).toBeGreaterThan(0)
    const moved = db.transaction(
      (tx) => tx.sql.unsafe(`update ${table} set ${column} = 'zone-b' where ${column} = 'zone-a'`),
      { zone: 'zone-a' },
    )
    await expect(moved).rejects.toMatchObject({
      code: '42501',
      message: expect.stringContaining('row-level security'),
    })
  })

  test('a zone inserts nothing into another', async () => {
    const written = await writtenColumns(table)
    const [row] = await database.admin.unsafe<{ body: Record<string, unknown> }[]>(
      `select to_jsonb(t) as body from ${table} t where ${zoneOf(table)} = 'zone-b' limit 1`,
    )
    const copy = db.transaction(
      (tx) =>
        tx.sql.unsafe(
          `insert into ${table} (${written}) select ${written} from jsonb_populate_record(null::${table}, $1::jsonb)`,
          [JSON.stringify(row?.body)],
        ),
      { zone: 'zone-a' },
    )
    await expect(copy).rejects.toMatchObject({
      code: '42501',
      message: expect.stringContaining('row-level security'),
    })
  })
})

/**
 * The roles of a deployment that gives each role of the server a login of its own. Where a role has no
 * right to a table at all, that is as good: nothing of the other zone is seen or touched either way.
 */
describe.each(['caracalapi', 'caracalsts', 'caracalcoordinator', 'caracalaudit', 'caracalgateway'])(
  'as %s',
  (role) => {
    let sql: postgres.Sql
    beforeAll(() => {
      sql = postgres({
        ...clientOptions(database.connection),
        max: 1,
        connection: { role },
      }) as unknown as postgres.Sql
    })
    afterAll(() => sql.end())

    const NOT_GRANTED = /permission denied for (table|schema)/
    /** Rows the statement gave or touched under zone A; `null` where the role may not run it. */
    async function rows(statement: string): Promise<number | null> {
      try {
        return await sql.begin(async (tx) => {
          await tx`select set_config('caracal.zone_id', 'zone-a', true)`
          return (await tx.unsafe(statement)).count
        })
      } catch (error) {
        if (NOT_GRANTED.test(String(error))) return null
        throw error
      }
    }

    test('every table: nothing of zone B is read, changed, deleted or written', async () => {
      const readable: string[] = []
      for (const table of zoneTables) {
        const ofB = `${zoneOf(table)} = 'zone-b'`
        const seen = await rows(`select 1 from ${table} t where ${ofB}`)
        expect([table, seen ?? 0]).toEqual([table, 0])
        const own = await rows(`select 1 from ${table} t`)
        if (own !== null && own > 0) readable.push(table)
        if (!neverChanged.includes(table)) {
          const column = table === 'zones' ? 'id' : 'zone_id'
          const changed = await rows(`update ${table} t set ${column} = ${column} where ${ofB}`)
          expect([table, changed ?? 0]).toEqual([table, 0])
          const deleted = await rows(`delete from ${table} t where ${ofB}`)
          expect([table, deleted ?? 0]).toEqual([table, 0])
        }
        expect([table, await insertsLike(table)]).toEqual([table, 'refused'])
      }
      // Only a role that sees its own zone proves anything about the other.
      expect(readable.length).toBeGreaterThan(role === 'caracalgateway' ? 0 : 3)
    })

    /** Writes a copy of a row of zone B, as somebody above row security hands it over, under zone A. */
    async function insertsLike(table: string): Promise<string> {
      const [row] = await database.admin.unsafe<{ row: string }[]>(
        `select to_jsonb(t)::text as row from ${table} t where ${zoneOf(table)} = 'zone-b' limit 1`,
      )
      if (row === undefined) throw new Error(`no row of zone B in ${table}`)
      const written = await writtenColumns(table)
      try {
        await sql.begin(async (tx) => {
          await tx`select set_config('caracal.zone_id', 'zone-a', true)`
          await tx.unsafe(
            `insert into ${table} (${written}) select ${written} from jsonb_populate_record(null::${table}, $1::text::jsonb)`,
            [row.row],
          )
        })
        return 'written'
      } catch (error) {
        if (NOT_GRANTED.test(String(error)) || String(error).includes('row-level security')) return 'refused'
        return String(error)
      }
    }
  },
)

test('rows of the deployment show only at *', async () => {
  await db.sql`insert into roles (id, name, rules, created_by) values ('global', 'g', '[]', 't')`
  const seen = (zone: string) =>
    db
      .transaction((tx) => tx.sql`select id from roles where zone_id is null`, { zone })
      .then((rows) => rows.length)
  expect([await seen('*'), await seen('zone-a'), await seen('zone-a,zone-b'), await seen('')]).toEqual([
    1, 0, 0, 0,
  ])
  const insert = db.transaction(
    (tx) => tx.sql`insert into roles (id, name, rules, created_by) values ('g2', 'g2', '[]', 't')`,
    { zone: 'zone-a' },
  )
  await expect(insert).rejects.toMatchObject({ code: '42501' })
})

test('the zone of a transaction ends with it, committed or not', async () => {
  const zone = () => db.sql`select current_setting('caracal.zone_id') as zone`.then(([row]) => row?.zone)
  await db.transaction((tx) => tx.sql`select 1`, { zone: 'zone-a' })
  expect(await zone()).toBe('*')
  await db.transaction((tx) => tx.sql`select 1/0`, { zone: 'zone-a' }).catch(() => undefined)
  const zones = await Promise.all(Array.from({ length: 20 }, zone))
  expect(new Set(zones)).toEqual(new Set(['*']))
})

test('a partition reached by name is closed to the server', async () => {
  const partitions = await database.admin<{ name: string }[]>`
    select inhrelid::regclass::text as name from pg_inherits where inhparent in ('audit_events'::regclass, 'audit_event_labels'::regclass)`
  expect(partitions.length).toBeGreaterThanOrEqual(10)
  for (const { name } of partitions) {
    await expect(db.sql`select 1 from ${db.sql(name)} limit 1`).rejects.toMatchObject({ code: '42501' })
  }
})

describe('storage-and-operations check 15', () => {
  const counts = async (options: Record<string, unknown>) => {
    const sql = postgres({ ...clientOptions(database.connection), ...options })
    try {
      const seen = async (zone: string | null) => {
        const [row] = await sql.begin(async (tx) => {
          if (zone !== null) await tx`select set_config('caracal.zone_id', ${zone}, true)`
          return await tx<{ n: number }[]>`select count(*)::int as n from applications`
        })
        return row?.n
      }
      const foreign = await sql
        .begin(async (tx) => {
          await tx`select set_config('caracal.zone_id', 'zone-a', true)`
          await tx`insert into applications (id, zone_id, name, registration_method) values ('x', 'zone-b', 'x', 'managed')`
        })
        .then(() => 'inserted')
        .catch((error: { code?: string }) => error.code)
      return {
        unset: await seen(null),
        one: await seen('zone-a'),
        both: await seen('zone-a,zone-b'),
        all: await seen('*'),
        foreign,
      }
    } finally {
      await sql.end()
    }
  }
  const expected = { unset: 0, one: 1, both: 2, all: 2, foreign: '42501' }

  test('as caracalapi', async () => {
    expect(await counts({ connection: { role: 'caracalapi' } })).toEqual(expected)
  })

  test('as the owner of the tables', async () => {
    const owner = `owner_${database.name.slice(-8)}`
    await database.admin`create role ${database.admin(owner)} nologin`
    await database.admin`alter table applications owner to ${database.admin(owner)}`
    await database.admin`grant usage on schema public to ${database.admin(owner)}`
    await database.admin`grant select on zones to ${database.admin(owner)}`
    try {
      expect(await counts({ connection: { role: owner } })).toEqual(expected)
    } finally {
      await database.admin`alter table applications owner to current_user`
      await database.admin`drop owned by ${database.admin(owner)}`
      await database.admin`drop role ${database.admin(owner)}`
    }
  })

  test('a superuser login is refused in stable and rc, allowed by CARACAL_DB_ALLOW_BYPASSRLS', async () => {
    for (const CARACAL_MODE of ['stable', 'rc'] as const) {
      await expect(database.open({ settings: { ...databaseSettings, CARACAL_MODE } })).rejects.toThrow(
        /superuser.*CARACAL_DB_ALLOW_BYPASSRLS=true/,
      )
    }
    const allowed = await database.open({
      settings: { ...databaseSettings, CARACAL_MODE: 'stable', CARACAL_DB_ALLOW_BYPASSRLS: true },
    })
    await allowed[Symbol.asyncDispose]()
  })

  test('an ordinary role opens in stable without a word', async () => {
    const warnings: unknown[] = []
    const stable = await database.open({
      settings: { ...databaseSettings, CARACAL_MODE: 'stable' },
      role: 'caracalsts',
      log: { ...silentLog, warn: (entry: unknown) => warnings.push(entry) },
    })
    const [session] = await stable.sql`select current_user::text as name`
    await stable[Symbol.asyncDispose]()
    expect(session?.name).toBe('caracalsts')
    expect(warnings).toEqual([])
  })

  test('in dev a superuser login is lowered with a warning', async () => {
    const warnings: unknown[] = []
    const dev = await database.open({ log: { ...silentLog, warn: (entry: unknown) => warnings.push(entry) } })
    await dev[Symbol.asyncDispose]()
    expect(warnings).toEqual([{ warning: expect.stringContaining('running as caracal_app') }])
  })
})
