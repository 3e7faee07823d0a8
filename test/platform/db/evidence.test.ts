/** Append-only tables, published versions, partitions of evidence (storage-and-operations §5–§6, check 14). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { seedZone } from './seed-zone.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  await seedZone(database.admin, 'a')
})
afterAll(() => database[Symbol.asyncDispose]())

const partitionNames = async (parent = 'audit_events') => {
  const rows = await database.admin<{ name: string }[]>`
    select inhrelid::regclass::text as name from pg_inherits where inhparent = ${parent}::regclass order by 1`
  return rows.map((row) => row.name)
}
const monthName = (ahead: number) => {
  const now = new Date()
  const month = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1))
  return `audit_events_y${month.getUTCFullYear()}m${String(month.getUTCMonth() + 1).padStart(2, '0')}`
}
/** Every partition of the events has its counterpart of their labels. */
const labelsFollow = async () => {
  const wanted = (await partitionNames()).map((name) => name.replace('audit_events_', 'audit_event_labels_'))
  expect(await partitionNames('audit_event_labels')).toEqual(wanted)
}
const appendOnly = { code: '42501', message: expect.stringContaining('append-only') }

describe('check 14: nobody changes what was published or recorded, not even the owner', () => {
  test.each([
    ['policy_versions', 'content'],
    ['policy_set_versions', 'manifest_sha256'],
    ['admin_audit_events', 'action'],
    ['audit_events', 'event_type'],
    ['audit_event_labels', 'label'],
  ])('%s', async (table, column) => {
    await expect(database.admin.unsafe(`update ${table} set ${column} = 'changed'`)).rejects.toMatchObject(
      appendOnly,
    )
    await expect(database.admin.unsafe(`delete from ${table}`)).rejects.toMatchObject(appendOnly)
    await expect(database.db.sql.unsafe(`update ${table} set ${column} = 'changed'`)).rejects.toMatchObject({
      code: '42501',
    })
    await expect(database.db.sql.unsafe(`delete from ${table}`)).rejects.toMatchObject({ code: '42501' })
  })

  test('truncate of evidence and of each partition', async () => {
    const labels = ['audit_event_labels', ...(await partitionNames('audit_event_labels'))]
    const versions = ['policy_versions', 'policy_set_versions cascade']
    for (const table of [
      ...versions,
      'admin_audit_events',
      'audit_events',
      ...(await partitionNames()),
      ...labels,
    ]) {
      await expect(database.admin.unsafe(`truncate ${table}`)).rejects.toMatchObject(appendOnly)
    }
  })

  test('rows of a partition reached by name', async () => {
    for (const table of [monthName(0), 'audit_events_default']) {
      await database.admin.unsafe(
        `insert into audit_events (id, zone_id, event_type, occurred_at) values ('${table}', 'a', 'e', ${table.endsWith('default') ? "'2001-01-01'" : 'now()'})`,
      )
      await expect(database.admin.unsafe(`update ${table} set decision = 'allow'`)).rejects.toMatchObject(
        appendOnly,
      )
      await expect(database.admin.unsafe(`delete from ${table}`)).rejects.toMatchObject(appendOnly)
    }
  })
})

describe('partitions', () => {
  test('the migration makes the default, this month and the next three', async () => {
    expect(await partitionNames()).toEqual(
      ['audit_events_default', monthName(0), monthName(1), monthName(2), monthName(3)].sort(),
    )
    await labelsFollow()
  })

  test('ensure makes a month once, at UTC bounds whatever the session time zone', async () => {
    const answers = await database.db.transaction(async (tx) => {
      await tx.sql`select set_config('TimeZone', 'Pacific/Auckland', true)`
      const [first] = await tx.sql`select audit_partition_ensure('2031-02-14') as made`
      const [second] = await tx.sql`select audit_partition_ensure('2031-02-01') as made`
      return [first?.made, second?.made]
    })
    expect(answers).toEqual([true, false])
    const [bounds] = await database.admin.begin(async (tx) => {
      await tx`set local timezone = 'UTC'`
      return await tx`select pg_get_expr(relpartbound, oid) as text from pg_class where relname = 'audit_events_y2031m02'`
    })
    expect(bounds?.text).toBe("FOR VALUES FROM ('2031-02-01 00:00:00+00') TO ('2031-03-01 00:00:00+00')")
  })

  test('ensure takes along what already went to the default partition', async () => {
    await database.db.sql`
      insert into audit_events (id, zone_id, event_type, occurred_at, metadata_json, chain_seq)
      values ('m1', 'a', 'e', '2032-05-01T00:00:00Z', '{"session_id":"s"}', 41),
             ('m2', 'a', 'e', '2032-05-31T23:59:59.999999Z', null, 42),
             ('m3', 'a', 'e', '2032-06-01T00:00:00Z', null, 43)`
    await database.db.sql`
      insert into audit_event_labels (zone_id, label, occurred_at, event_id)
      values ('a', 'moved', '2032-05-01T00:00:00Z', 'm1'), ('a', 'moved', '2032-06-01T00:00:00Z', 'm3')`
    await database.db.sql`select audit_partition_ensure('2032-05-15')`
    const rows = await database.admin`
      select id, tableoid::regclass::text as place, chain_seq::int as seq, metadata_json as metadata,
             authority_record_id as record
      from audit_events where id in ('m1', 'm2', 'm3') order by id`
    expect([...rows]).toEqual([
      { id: 'm1', place: 'audit_events_y2032m05', seq: 41, metadata: { session_id: 's' }, record: 's' },
      { id: 'm2', place: 'audit_events_y2032m05', seq: 42, metadata: null, record: null },
      { id: 'm3', place: 'audit_events_default', seq: 43, metadata: null, record: null },
    ])
    const labels = await database.admin`
      select event_id as id, tableoid::regclass::text as place from audit_event_labels where label = 'moved' order by 1`
    expect([...labels]).toEqual([
      { id: 'm1', place: 'audit_event_labels_y2032m05' },
      { id: 'm3', place: 'audit_event_labels_default' },
    ])
    await labelsFollow()
    // A new partition is as closed as the others, and its indexes belong to the parent's.
    await expect(database.admin`truncate audit_events_y2032m05`).rejects.toMatchObject(appendOnly)
    await expect(database.admin`delete from audit_events_y2032m05`).rejects.toMatchObject(appendOnly)
    await expect(database.admin`delete from audit_events_default`).rejects.toMatchObject(appendOnly)
    await expect(database.db.sql`select 1 from audit_events_y2032m05`).rejects.toMatchObject({
      code: '42501',
    })
    const [indexes] = await database.admin`
      select (select count(*)::int from pg_index where indrelid = 'audit_events'::regclass) as parent,
             (select count(*)::int from pg_index x join pg_inherits i on i.inhrelid = x.indexrelid
              where x.indrelid = 'audit_events_y2032m05'::regclass) as partition`
    expect(indexes?.partition).toBe(indexes?.parent)
  })

  test('several ask for one month at once', async () => {
    const made = await Promise.all(
      Array.from({ length: 6 }, () => database.db.sql`select audit_partition_ensure('2033-01-01') as made`),
    )
    expect(made.filter(([row]) => row?.made === true)).toHaveLength(1)
  })

  test('drop takes only an attached monthly partition that has ended', async () => {
    await database.db.sql`select audit_partition_ensure('2004-01-01')`
    await database.admin`create table audit_events_y2030m12 (id text)`
    for (const name of [
      'audit_events_default',
      'zones',
      'audit_events',
      'audit_events_y2030m1',
      'audit_events_y2030m12',
      'audit_events_y2099m01',
      monthName(0),
      monthName(1),
      "audit_events_y2030m01'; drop table zones; --",
      null,
    ]) {
      await expect(database.db.sql`select audit_partition_drop(${name}::text)`).rejects.toMatchObject({
        code: '22023',
      })
    }
    await database.db.sql`select audit_partition_drop('audit_events_y2004m01')`
    expect(await partitionNames()).not.toContain('audit_events_y2004m01')
    await labelsFollow()
  })

  test('expired rows leave the default partition, young and future ones stay', async () => {
    await database.db.sql`
      insert into audit_events (id, zone_id, event_type, occurred_at)
      values ('old1', 'a', 'e', '2002-01-01'), ('old2', 'a', 'e', '2003-01-01'), ('future', 'a', 'e', '2090-01-01')`
    await database.db.sql`
      insert into audit_event_labels (zone_id, label, occurred_at, event_id)
      values ('a', 'aged', '2002-01-01', 'old1'), ('a', 'aged', '2003-01-01', 'old2')`
    const [answer] = await database.db.sql`select audit_partition_expire_default('2002-06-01') as n`
    const labels = await database.admin`select event_id from audit_event_labels where label = 'aged'`
    expect(labels.map((row) => row.event_id)).toEqual(['old2'])
    expect(Number(answer?.n)).toBe(2) // old1 and the row of 2001 above
    const left = await database.admin<
      { id: string }[]
    >`select id from audit_events where id in ('old1', 'old2', 'future') order by id`
    expect(left.map((row) => row.id)).toEqual(['future', 'old2'])
    await expect(database.db.sql`select audit_partition_expire_default(now())`).rejects.toMatchObject({
      code: '22023',
    })
  })

  test('only the audit role and the single role may call the functions', async () => {
    for (const role of ['caracalapi', 'caracalsts', 'caracalgateway', 'caracalcoordinator']) {
      const other = await database.open({ role })
      await expect(other.sql`select audit_partition_drop(${monthName(3)})`).rejects.toMatchObject({
        code: '42501',
      })
      await expect(other.sql`select audit_partition_ensure('2034-01-01')`).rejects.toMatchObject({
        code: '42501',
      })
      await other[Symbol.asyncDispose]()
    }
    const audit = await database.open({ role: 'caracalaudit' })
    const [row] = await audit.sql`select audit_partition_ensure('2034-01-01') as made`
    await audit[Symbol.asyncDispose]()
    expect(row?.made).toBe(true)
  })
})

test('the single role holds nothing beyond rows: no DDL, no truncate, no triggers off', async () => {
  for (const statement of [
    'truncate ephemera',
    'drop table zones',
    'alter table audit_events disable trigger all',
    'alter table zones disable row level security',
    'create table intruder (id text)',
    "insert into schema_migrations (version) values ('9999_x')",
  ]) {
    await expect(database.db.sql.unsafe(statement)).rejects.toMatchObject({ code: '42501' })
  }
})
