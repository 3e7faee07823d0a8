/** audit-and-events §14.1, §21.41–42: what retention takes stays accounted for. */
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Queryable } from '../../../src/platform/db/port.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { frame } from '../../../src/roles/audit/frame.ts'
import { verifyChain } from '../../../src/roles/audit/index.ts'
import { appendEvents } from '../../../src/roles/audit/ingest/append.ts'
import { classify } from '../../../src/roles/audit/ingest/classify.ts'
import { createLeaders } from '../../../src/roles/audit/leaders.ts'
import { type RetentionDeps, retain } from '../../../src/roles/audit/retention/retain.ts'
import { advanceWatermark } from '../../../src/roles/audit/store/export-watermark.ts'
import type { ChainFinding } from '../../../src/roles/audit/verify/findings.ts'
import { noSweepYet, sweepRecent, sweepWhole } from '../../../src/roles/audit/verify/sweep.ts'
import { verifyEverything } from '../../../src/roles/audit/verify/verify-everything.ts'
import { createTestDatabase, databaseSettings, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { heard } from '../../fixtures/heard.ts'

const secret = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
const key = { current: secret, accepted: [secret] }
const log = pino({ level: 'silent' })

let store: TestDatabase
beforeAll(async () => {
  store = await createTestDatabase()
})
afterAll(() => store[Symbol.asyncDispose]())

const monthsAgo = (months: number, day = 10) => {
  const now = new Date()
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months, day)).toISOString()
}
const partitionOf = (iso: string) => `audit_events_y${iso.slice(0, 4)}m${iso.slice(5, 7)}`

async function add(zoneId: string, ...instants: string[]): Promise<void> {
  for (const occurredAt of instants) {
    const data = JSON.stringify({
      id: uuidv7(),
      zone_id: zoneId,
      event_type: 'e',
      request_id: 'r',
      decision: 'allow',
      evaluation_status: 'complete',
      occurred_at: occurredAt,
    })
    const classified = classify({ id: '1-0', stream: 's', fields: frame('x', data, key) }, key)
    if (!classified.ok) throw new Error(classified.reason)
    await appendEvents(store.db, key, [classified.event])
  }
}

/** Changes evidence as an owner with the triggers off would. */
const damage = (statements: string) =>
  store.admin.begin(async (sql) => {
    await sql`set local session_replication_role = replica`
    await sql.unsafe(statements).simple()
  })

async function partitions(): Promise<string[]> {
  const rows = await store.admin<{ name: string }[]>`
    select inhrelid::regclass::text as name from pg_inherits where inhparent = 'audit_events'::regclass order by 1`
  return rows.map((row) => row.name)
}

const retainWith = (overrides: Partial<RetentionDeps> = {}) => {
  const counts = { created: 0, dropped: 0 }
  const deps = { db: store.db, key, log, maxDays: 30, archive: null, counts, ...overrides }
  return retain(deps, new AbortController().signal).then(() => counts)
}

it('41 drops months that ended long enough ago, keeps months ahead, and every chain still verifies', async () => {
  for (const months of [4, 3]) await store.db.sql`select audit_partition_ensure(${monthsAgo(months)}::date)`
  const [old, older] = [monthsAgo(3), monthsAgo(4)]
  // A late arrival leaves a hole in the middle of what stays.
  await add('zone-r', older, older, old, monthsAgo(0, 1), old, monthsAgo(0, 1))
  // Rows without a partition of their month, and a zone whose evidence expires as a whole.
  await add('zone-d', monthsAgo(20), monthsAgo(20), monthsAgo(0, 1))
  await add('zone-all', old, old)
  for (const zone of ['zone-r', 'zone-d', 'zone-all'])
    expect((await verifyChain(store.db, key, zone)).findings).toEqual([])

  expect(await retainWith()).toMatchObject({ dropped: 2 })
  const left = await partitions()
  expect(left).not.toContain(partitionOf(old))
  expect(left).not.toContain(partitionOf(older))
  for (const ahead of [0, 1, 2, 3]) expect(left).toContain(partitionOf(monthsAgo(-ahead)))
  const rows = await store.admin`select zone_id, chain_seq::int as seq from audit_events order by 1, 2`
  expect(rows.map((row) => `${row.zone_id} ${row.seq}`)).toEqual(['zone-d 3', 'zone-r 4', 'zone-r 6'])
  for (const zone of ['zone-r', 'zone-d', 'zone-all'])
    expect((await verifyChain(store.db, key, zone)).findings).toEqual([])
  // Numbering goes on where it was.
  await add('zone-all', monthsAgo(0, 1))
  expect(await verifyChain(store.db, key, 'zone-all')).toMatchObject({ checked: 1, findings: [] })
  expect(await retainWith()).toMatchObject({ dropped: 0 })
})

it('truncation at the beginning is not mistaken for retention, and a cut cannot be made without the key', async () => {
  await damage(`delete from audit_events where zone_id = 'zone-r' and chain_seq = 4`)
  expect((await verifyChain(store.db, key, 'zone-r')).findings).toMatchObject([
    { kind: 'missing_links', chainSeq: 4 },
  ])
  await store.db.sql`
    insert into audit_chain_cuts (zone_id, from_seq, to_seq, prev_sha256, last_sha256, cut_at, cut_hmac, chain_key_id)
    select zone_id, 4, 4, (select last_sha256 from audit_chain_cuts where zone_id = 'zone-r' and to_seq = 3),
           (select prev_sha256 from audit_chain_cuts where zone_id = 'zone-r' and from_seq = 5), cut_at, cut_hmac, chain_key_id
    from audit_chain_cuts
    where zone_id = 'zone-r' and from_seq = 5`
  expect((await verifyChain(store.db, key, 'zone-r')).findings).toMatchObject([
    { kind: 'missing_links', chainSeq: 4 },
  ])
  await expect(store.admin`delete from audit_chain_cuts`).rejects.toMatchObject({ code: '42501' })
})

it('a check that begins within what retention took finds nothing, and still finds what nobody accounts for', async () => {
  const old = monthsAgo(3)
  const today = new Date().toISOString()
  await store.db.sql`select audit_partition_ensure(${old}::date)`
  await add('zone-idle', old, old, old, old, old)
  await add('zone-mix', old, old, old, today, today)
  const alarmed: unknown[] = []
  const told = pino({ level: 'error' }, { write: (line: string) => alarmed.push(JSON.parse(line).zone_id) })
  const deps = { db: store.db, key, log: told, rollingHours: 4, counts: noSweepYet() }
  await sweepWhole(deps, new AbortController().signal)
  expect(await retainWith()).toMatchObject({ dropped: 1 })
  await sweepRecent(deps, new AbortController().signal)
  // What the test before took from zone-r is known.
  expect(new Set(alarmed)).toEqual(new Set(['zone-r']))
  const since = new Date(Date.now() - 3_600_000).toISOString()
  const found = async (zoneId: string) => {
    const findings: ChainFinding[] = []
    for await (const report of verifyEverything(store.db, key, { zoneId, since }))
      findings.push(...report.findings)
    return findings
  }
  for (const zone of ['zone-idle', 'zone-mix']) {
    expect(await found(zone)).toEqual([])
    for (const fromSeq of [1, 2, 3, 4, 5, 6])
      expect((await verifyChain(store.db, key, zone, { fromSeq })).findings).toEqual([])
  }
  await damage(`delete from audit_events where zone_id = 'zone-mix' and chain_seq = 4`)
  expect(await found('zone-mix')).toMatchObject([{ kind: 'missing_links', chainSeq: 4 }])
  await damage(`delete from audit_events where zone_id = 'zone-mix'`)
  expect((await verifyChain(store.db, key, 'zone-mix', { fromSeq: 3 })).findings).toMatchObject([
    { kind: 'truncated', chainSeq: 4 },
  ])
  await damage(`update audit_chain_heads set chain_seq = 2 where zone_id = 'zone-idle'`)
  expect((await verifyChain(store.db, key, 'zone-idle', { fromSeq: 5 })).findings).toContainEqual(
    expect.objectContaining({ kind: 'truncated' }),
  )
  await damage(`update audit_chain_cuts set cut_hmac = '' where zone_id = 'zone-idle';
                update audit_chain_heads set chain_seq = 5 where zone_id = 'zone-idle'`)
  expect(await found('zone-idle')).toMatchObject([{ kind: 'truncated', chainSeq: 5 }])
})

it('a partition that goes while its links are walked is not mistaken for truncation', async () => {
  const old = monthsAgo(3)
  await store.db.sql`select audit_partition_ensure(${old}::date)`
  await add('zone-walked', old, old, old, old, old, new Date().toISOString())
  const before = await verifyChain(store.db, key, 'zone-walked')
  expect(before).toMatchObject({ checked: 6, findings: [] })

  let pages = 0
  const sql = ((text: TemplateStringsArray, ...values: never[]) => {
    const isPage = text.some((part) => part.includes('order by audit_events.chain_seq, id'))
    if (!isPage || ++pages !== 2) return store.db.sql(text, ...values)
    return retainWith().then(() => store.db.sql(text, ...values))
  }) as Queryable['sql']
  const report = await verifyChain({ ...store.db, sql }, key, 'zone-walked', {
    pace: { pageSize: 2, rest: 0 },
  })
  expect(report).toMatchObject({ checked: 3, findings: [], last: before.last })
})

it('the smaller of ceiling and audit_retention counts, and the archive goes first', async () => {
  const old = monthsAgo(3)
  await store.db.sql`select audit_partition_ensure(${old}::date)`
  await add('zone-x', old)
  expect(await retainWith({ maxDays: 3650 })).toMatchObject({ dropped: 0 })
  await store.admin`insert into audit_retention (singleton, retention_days) values (true, 30)`
  expect(await retainWith({ maxDays: 3650, archive: 'hourly' })).toMatchObject({ dropped: 0 })
  expect(await partitions()).toContain(partitionOf(old))
  await advanceWatermark(store.db, 'hourly', new Date(Date.now() + 3_600_000).toISOString())
  expect(await retainWith({ maxDays: 3650, archive: 'hourly' })).toMatchObject({ dropped: 1 })
})

it('somebody who reads for long, as a backup does, delays retention and not the ledger', async () => {
  const old = monthsAgo(3)
  await store.db.sql`select audit_partition_ensure(${old}::date)`
  await add('zone-read', old)
  const { log: told, lines } = heard()
  await store.admin.begin(async (reader) => {
    await reader`lock table audit_events in access share mode`
    const round = retainWith({ log: told })
    await eventually(async () => {
      const waiting = await store.db
        .sql`select 1 from pg_locks where mode = 'AccessExclusiveLock' and not granted`
      return waiting.length > 0
    })
    await add('zone-read', new Date().toISOString())
    expect(await round).toMatchObject({ dropped: 0 })
  })
  expect(lines.map(({ msg }) => msg)).toContain('audit_retention_waits_for_reader')
  expect(await verifyChain(store.db, key, 'zone-read')).toMatchObject({ checked: 2, findings: [] })
  expect(await retainWith()).toMatchObject({ dropped: 1 })
  expect(await verifyChain(store.db, key, 'zone-read')).toMatchObject({ checked: 1, findings: [] })
})

it('a month whose rows wait in the default partition is made, however long they take to move', async () => {
  const ahead = monthsAgo(-3)
  const month = partitionOf(ahead)
  await damage(`drop table ${month}, ${month.replace('events', 'event_labels')}`)
  await add('zone-moved', ahead, ahead)
  await damage(`
    insert into audit_events (id, zone_id, event_type, decision, occurred_at, metadata_json)
    select gen_random_uuid()::text, 'zone-many', 'e', 'allow', '${ahead}', '{}' from generate_series(1, 20000)`)
  const db = await store.open({ settings: { ...databaseSettings, DB_STATEMENT_TIMEOUT_MS: 100 } })
  try {
    expect(await retainWith({ db })).toMatchObject({ created: 1 })
  } finally {
    await db[Symbol.asyncDispose]()
  }
  expect(await store.admin`select 1 from ${store.admin(month)}`).toHaveLength(20_002)
  expect(await store.admin`select 1 from audit_events_default`).toHaveLength(0)
  expect(await verifyChain(store.db, key, 'zone-moved')).toMatchObject({ checked: 2, findings: [] })
})

it('42 exactly one of two replicas leads, and the other takes over when its session ends', async () => {
  const first = await store.open()
  await using second = await store.open()
  await using mine = createLeaders(first, log)
  await using theirs = createLeaders(second, log)
  expect(await mine.retention.contend()).toBe(true)
  expect(await theirs.retention.contend()).toBe(false)
  await mine[Symbol.asyncDispose]()
  await first[Symbol.asyncDispose]()
  expect(await theirs.retention.contend()).toBe(true)
})
