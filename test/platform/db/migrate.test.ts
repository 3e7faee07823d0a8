/** Migrations and the probe of a serving process (storage-and-operations §7.1, checks 10 and 11). */
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ConnectionTarget } from '../../../src/platform/db/connection.ts'
import { buildVersions, migrate, migrationStatus } from '../../../src/platform/db/migrate.ts'
import { probeSchema, SchemaBehind, waitForSchema } from '../../../src/platform/db/probe.ts'
import { roleNames } from '../../../src/platform/role.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { asLogin, clientOptions } from '../../fixtures/test-server.ts'

const log = { info() {}, warn() {} }
const tableCount = async (sql: postgres.Sql): Promise<number> => {
  const [row] = await sql<{ n: number }[]>`
    select count(*)::int as n from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`
  return row?.n ?? -1
}

describe('check 10: a fresh database', () => {
  let fresh: TestDatabase
  beforeAll(async () => {
    fresh = await createTestDatabase({ empty: true })
  })
  afterAll(() => fresh[Symbol.asyncDispose]())

  test('two runs at once both succeed, each version is applied once, a third applies nothing', async () => {
    const versions = await buildVersions()
    const [one, two] = await Promise.all([
      migrate(fresh.connection, { log }),
      migrate(fresh.connection, { log }),
    ])
    expect([...one, ...two].sort()).toEqual(versions)
    expect(await migrate(fresh.connection, { log })).toEqual([])
    const status = await migrationStatus(fresh.connection, { log })
    expect(status.map((state) => state.version)).toEqual(versions)
    for (const state of status) expect(state.appliedAt).toBeInstanceOf(Date)
  })

  test('every role finds what it needs', async () => {
    await probeSchema(fresh.db, roleNames)
  })
})

describe('check 11: a database without the schema of this build', () => {
  let behind: TestDatabase
  beforeAll(async () => {
    behind = await createTestDatabase({ empty: true })
  })
  afterAll(() => behind[Symbol.asyncDispose]())

  test('the probe names the missing schema and the remedy, and creates nothing', async () => {
    await expect(probeSchema({ sql: behind.admin }, ['coordinator'])).rejects.toThrow(
      /no Caracal schema: run caracal migrate/,
    )
    expect(await tableCount(behind.admin)).toBe(0)
  })

  test('status lists every version as pending', async () => {
    const status = await migrationStatus(behind.connection, { log })
    expect(status.map((state) => state.version)).toEqual(await buildVersions())
    expect(status.every((state) => state.appliedAt === null)).toBe(true)
  })

  test('waiting ends when somebody migrates, or when the time is over', async () => {
    await expect(waitForSchema({ sql: behind.admin }, ['sts'], { timeoutMs: 300 })).rejects.toBeInstanceOf(
      SchemaBehind,
    )
    const waiting = waitForSchema({ sql: behind.admin }, ['sts'], { timeoutMs: 20_000 })
    await migrate(behind.connection, { log })
    await waiting
  })

  test('a missing version, table, column or right is named', async () => {
    const [last] = (await buildVersions()).slice(-1)
    const probe = (roles: readonly (typeof roleNames)[number][] = ['sts']) =>
      probeSchema({ sql: behind.admin }, roles)
    const broken = async (breakIt: string, expected: RegExp, mendIt: string) => {
      await behind.admin.unsafe(breakIt)
      await expect(probe()).rejects.toThrow(expected)
      await behind.admin.unsafe(mendIt)
      await probe()
    }
    await broken(
      `delete from schema_migrations where version = '${last}'`,
      new RegExp(`migration ${last} is not applied: run caracal migrate`),
      `insert into schema_migrations (version) values ('${last}')`,
    )
    await broken(
      'alter table secrets rename to secrets_gone',
      /table secrets is missing: run caracal migrate/,
      'alter table secrets_gone rename to secrets',
    )
    await broken(
      'alter table secrets rename column active_from to gone',
      /table secrets lacks a column .*active_from.*: run caracal migrate/,
      'alter table secrets rename column gone to active_from',
    )
    const asGateway = postgres({
      ...clientOptions(behind.connection),
      connection: { role: 'caracalgateway' },
    })
    await expect(probeSchema({ sql: asGateway as never }, ['gateway'])).resolves.toBeUndefined()
    await expect(probeSchema({ sql: asGateway as never }, ['control'])).rejects.toThrow(
      /database role caracalgateway may not read table/,
    )
    await asGateway.end()
  })

  test('versions of a newer build are left alone', async () => {
    await behind.admin`insert into schema_migrations (version) values ('9999_of_the_future')`
    expect(await migrate(behind.connection, { log })).toEqual([])
    await probeSchema({ sql: behind.admin }, ['audit'])
    const status = await migrationStatus(behind.connection, { log })
    expect(status.at(-1)?.version).toBe('9999_of_the_future')
  })
})

test('each role of the database probes as itself', async () => {
  const database = await createTestDatabase()
  const logins = {
    control: 'caracalapi',
    sts: 'caracalsts',
    gateway: 'caracalgateway',
    audit: 'caracalaudit',
    coordinator: 'caracalcoordinator',
  } as const
  for (const role of roleNames) {
    const own = await database.open({ role: logins[role] })
    await probeSchema(own, [role])
    await own[Symbol.asyncDispose]()
  }
  await database[Symbol.asyncDispose]()
})

test('an ordinary owner migrates and serves; its tables bind it too', async () => {
  const database = await createTestDatabase({ empty: true })
  const owner = `owner_${database.name.slice(-12)}`
  const password = `pw-${database.name}`
  const [name, role] = [database.admin(database.name), database.admin(owner)]
  await database.admin.unsafe(
    `create role "${owner}" login nosuperuser nocreaterole nobypassrls password '${password}'`,
  )
  await database.admin`alter database ${name} owner to ${role}`
  const connection: ConnectionTarget = asLogin(database.connection, owner, password)

  const notices: unknown[] = []
  const applied = await migrate(connection, {
    log: { ...log, info: (entry: unknown) => notices.push(entry) },
  })
  expect(applied).toEqual(await buildVersions())

  const db = await database.open({ connection })
  await probeSchema(db, roleNames)
  const [session] = await db.sql`select current_user::text as name`
  expect(session?.name).toBe(owner)
  await db.sql`insert into zones (id, name, slug) values ('a', 'a', 'a'), ('b', 'b', 'b')`
  const seen = await db.transaction((tx) => tx.sql`select id from zones`, { zone: 'b' })
  expect(seen.map((zone) => zone.id)).toEqual(['b'])
  await expect(db.sql`truncate audit_events`).rejects.toMatchObject({ code: '42501' })
  await db[Symbol.asyncDispose]()

  await database.admin`reassign owned by ${role} to current_user`
  await database.admin`drop owned by ${role}`
  await database.admin`alter database ${name} owner to current_user`
  await database.admin`drop role ${role}`
  await database[Symbol.asyncDispose]()
})

test('a server that does not answer is tried as often as asked, then reported', async () => {
  const attempts: unknown[] = []
  const nowhere: ConnectionTarget = { host: '127.0.0.1', port: 1, database: 'x', user: 'x' }
  const failing = migrate(nowhere, {
    log: { ...log, warn: (entry: unknown) => attempts.push(entry) },
    connectAttempts: 2,
  })
  await expect(failing).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  expect(attempts).toHaveLength(1)
})
