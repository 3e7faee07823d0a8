import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLeaderLease, singleRunner, withXactTryLock } from '../../../src/platform/jobs/single-runner.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { heard } from '../../fixtures/heard.ts'
import { jobContext } from '../../fixtures/job-context.ts'

const log = pino({ level: 'silent' })

describe('one runner among many', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await createTestDatabase()
  })
  afterAll(() => database[Symbol.asyncDispose]())

  test('a transaction lock admits one sweep at a time and ends with it', async () => {
    const { db } = database
    await db.transaction(async (tx) => {
      expect(await withXactTryLock(tx, 'coordinator:ttl_sweep')).toBe(true)
      await db.transaction(async (other) => {
        expect(await withXactTryLock(other, 'coordinator:ttl_sweep')).toBe(false)
        expect(await withXactTryLock(other, 'coordinator:retention_cleanup')).toBe(true)
      })
    })
    await db.transaction(async (tx) => {
      expect(await withXactTryLock(tx, 'coordinator:ttl_sweep')).toBe(true)
    })
  })

  test('an iteration that finds its lock taken does nothing', async () => {
    const { db } = database
    let runs = 0
    const job = singleRunner({
      db,
      name: 'sweep',
      intervalMs: 1000,
      key: '7163920485318472',
      async run(tx) {
        runs += 1
        await tx.sql`select 1`
        return false
      },
    })
    const context = jobContext()
    await db.transaction(async (tx) => {
      expect(await withXactTryLock(tx, '7163920485318472')).toBe(true)
      await job.run(context)
    })
    expect(runs).toBe(0)
    await job.run(context)
    expect(runs).toBe(1)
  })

  test('batch follows batch, each in a transaction of its own, until nothing is left or the job is stopped', async () => {
    const { db } = database
    const stop = new AbortController()
    const transactions: string[] = []
    let left = 3
    const job = singleRunner({
      db,
      name: 'sweep',
      intervalMs: 1000,
      key: 'sweep',
      async run(tx) {
        const [row] = await tx.sql<{ id: string }[]>`select pg_current_xact_id()::text as id`
        transactions.push(row?.id ?? '')
        left -= 1
        if (left < -1) stop.abort()
        return left !== 0
      },
    })
    const context = jobContext({ signal: stop.signal })
    await job.run(context)
    expect(new Set(transactions).size).toBe(3)
    await job.run(context)
    expect(transactions).toHaveLength(5)
  })

  test('who leads is told on the log of the iteration that found out', async () => {
    const own = heard()
    const run = heard()
    const lease = createLeaderLease({
      db: database.db,
      log: own.log,
      name: 'audit_retention_lease',
      key: '4846245113962180658',
    })
    await lease.job.run(jobContext({ log: run.log }))
    expect(run.lines.map(({ msg }) => msg)).toEqual(['leader_lease_changed'])
    expect(own.lines).toEqual([])
    await lease[Symbol.asyncDispose]()
    expect(own.lines.map(({ msg }) => msg)).toEqual(['leader_lease_changed'])
  })

  test('one process leads, another takes over when it ends or loses its session', async () => {
    const options = { log, name: 'audit_export_leader', key: '4846245113962180657', probeTimeoutMs: 1000 }
    await using one = await database.open()
    await using two = await database.open()
    const first = createLeaderLease({ ...options, db: one })
    await using second = createLeaderLease({ ...options, db: two })
    expect(await first.contend()).toBe(true)
    expect(await first.contend()).toBe(true)
    expect(await second.contend()).toBe(false)
    expect([first.held, first.transitions, second.held, second.transitions]).toEqual([true, 1, false, 0])

    await first[Symbol.asyncDispose]()
    expect(first.held).toBe(false)
    expect(await second.contend()).toBe(true)

    // The session dies under the leader: it steps down before it may lead again.
    await database.admin`
      select pg_terminate_backend(pid) from pg_locks
      where locktype = 'advisory' and objsubid = 1
        and (classid::bigint << 32 | objid::bigint) = 4846245113962180657`
    await eventually(
      async () => {
        await second.contend()
        return second.transitions >= 2
      },
      { what: 'stepped down or won again' },
    )
    await eventually(() => second.contend(), { what: 'leads again' })
    expect(await first.contend()).toBe(false)
  })
})
