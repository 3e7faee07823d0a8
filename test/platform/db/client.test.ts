import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../../src/platform/db/client.ts'
import type { Database } from '../../../src/platform/db/port.ts'
import { zones } from '../../../src/platform/db/schema/index.ts'
import { DatabaseTimeout, isUnavailable, sqlState } from '../../../src/platform/db/unavailable.ts'
import {
  createTestDatabase,
  databaseSettings,
  silentLog,
  type TestDatabase,
} from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'

let database: TestDatabase
let db: Database
beforeAll(async () => {
  database = await createTestDatabase()
  db = database.db
  await database.admin.unsafe(
    'create table counters (id int primary key, n int not null); grant all on counters to caracal_app; insert into counters values (1, 0), (2, 0)',
  )
})
afterAll(() => database[Symbol.asyncDispose]())

const caught = (work: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(work).then(
    () => null,
    (error: unknown) => error,
  )
const dropConnections = (application: string) => database.admin`
  select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and application_name = ${application} and pid <> pg_backend_pid()`

test('every connection starts with zone, time-outs, name and UTC', async () => {
  const rows = await Promise.all(
    Array.from(
      { length: 8 },
      () => db.sql`
      select current_setting('caracal.zone_id') as zone, current_setting('statement_timeout') as statement,
             current_setting('idle_in_transaction_session_timeout') as idle,
             current_setting('application_name') as name, current_setting('TimeZone') as "timeZone",
             pg_sleep(0.02)::text as slept`,
    ),
  )
  for (const [row] of rows) {
    expect(row).toMatchObject({
      zone: '*',
      statement: '10s',
      idle: '30s',
      name: 'caracal-test',
      timeZone: 'UTC',
    })
  }
})

describe('transaction', () => {
  test('commits what succeeds, rolls back what throws, answers what the work answers', async () => {
    const answer = await db.transaction(async (tx) => {
      await tx.sql`update counters set n = 5 where id = 1`
      return [Promise.resolve('left alone'), 2]
    })
    expect(answer[1]).toBe(2)
    const error = await caught(
      db.transaction(async (tx) => {
        await tx.sql`update counters set n = 6 where id = 1`
        throw new Error('no')
      }),
    )
    expect(error).toMatchObject({ message: 'no' })
    expect(await db.sql`select n from counters where id = 1`).toMatchObject([{ n: 5 }])
  })

  test('Drizzle and raw statements share it', async () => {
    await caught(
      db.transaction(async (tx) => {
        await tx.orm.insert(zones).values({ id: 'z', name: 'z', slug: 'z' })
        expect(await tx.sql`select id from zones where id = 'z'`).toHaveLength(1)
        throw new Error('rolled back')
      }),
    )
    expect(await db.orm.select().from(zones)).toEqual([])
  })

  test('onCommit runs once, after the commit, and not after a rollback; its own error is no failure', async () => {
    const seen: string[] = []
    await db.transaction(async (tx) => {
      tx.onCommit(() => {
        throw new Error('callback')
      })
      tx.onCommit(() => seen.push('committed'))
      await tx.sql`select 1`
      expect(seen).toEqual([])
    })
    await caught(
      db.transaction(async (tx) => {
        tx.onCommit(() => seen.push('rolled back'))
        throw new Error('no')
      }),
    )
    expect(seen).toEqual(['committed'])
  })

  test('writes nobody waits for are committed in their order', async () => {
    await db.transaction(async (tx) => {
      tx.send(tx.sql`update counters set n = 1 where id = 1`)
      tx.send(tx.sql`update counters set n = n * 10 where id = 1`)
      tx.send(tx.sql`update counters set n = n + 3 where id = 1`)
    })
    expect(await db.sql`select n from counters where id = 1`).toMatchObject([{ n: 13 }])
  })

  test('a sent write that fails rolls everything back and is the error of the transaction', async () => {
    const seen: string[] = []
    const error = await caught(
      db.transaction(async (tx) => {
        await tx.sql`update counters set n = 99 where id = 1`
        tx.onCommit(() => seen.push('committed'))
        tx.send(tx.sql`insert into counters (id, n) values (1, 0)`)
        tx.send(tx.sql`update counters set n = 98 where id = 1`)
      }),
    )
    expect(error).toMatchObject({ code: '23505' })
    expect(seen).toEqual([])
    expect(await db.sql`select n from counters where id = 1`).toMatchObject([{ n: 13 }])
  })

  test('the error is that of the statement that failed, not of one sent behind it', async () => {
    const error = await caught(
      db.transaction(async (tx) => {
        tx.send(tx.sql`insert into counters (id, n) values (1, 0)`)
        await tx.sql`select n from counters`
      }),
    )
    expect(sqlState(error)).toBe('23505')
    let attempts = 0
    await db.transaction(async (tx) => {
      attempts += 1
      if (attempts === 1) tx.send(tx.sql`do $$ begin raise exception 'again' using errcode = '40P01'; end $$`)
      await tx.sql`select n from counters`
    })
    expect(attempts).toBe(2)
  })

  test('a serialization failure is retried with fresh callbacks', async () => {
    let attempts = 0
    let commits = 0
    await db.transaction(async (tx) => {
      attempts += 1
      tx.onCommit(() => {
        commits += 1
      })
      await tx.sql`set transaction isolation level repeatable read`
      const [row] = await tx.sql<{ n: number }[]>`select n from counters where id = 2`
      if (attempts === 1) await db.sql`update counters set n = n + 10 where id = 2`
      await tx.sql`update counters set n = ${(row?.n ?? 0) + 1} where id = 2`
    })
    expect([attempts, commits]).toEqual([2, 1])
    expect(await db.sql`select n from counters where id = 2`).toMatchObject([{ n: 11 }])
  })

  test('a deadlock costs one of the two a retry', async () => {
    await db.sql`update counters set n = 0`
    let attempts = 0
    let holding = 0
    let bothHold = () => {}
    const crossed = new Promise<void>((resolve) => {
      bothHold = resolve
    })
    const crossing = (first: number, second: number) =>
      db.transaction(async (tx) => {
        attempts += 1
        await tx.sql`update counters set n = n + 1 where id = ${first}`
        holding += 1
        if (holding === 2) bothHold()
        await crossed
        await tx.sql`update counters set n = n + 1 where id = ${second}`
      })
    await Promise.all([crossing(1, 2), crossing(2, 1)])
    expect(attempts).toBe(3)
    expect(await db.sql`select n from counters`).toMatchObject([{ n: 2 }, { n: 2 }])
  })

  test('gives up after three retries', async () => {
    let attempts = 0
    const error = await caught(
      db.transaction(async (tx) => {
        attempts += 1
        await tx.sql`do $$ begin raise exception 'again' using errcode = '40001'; end $$`
      }),
    )
    expect(attempts).toBe(4)
    expect(sqlState(error)).toBe('40001')
  })
})

describe('ping', () => {
  test('answers while the store does', async () => {
    await db.ping()
  })

  test('rejects in time when every connection is held', async () => {
    const small = await database.open({ settings: { ...databaseSettings, DB_POOL_MAX: 1 } })
    let over = false
    const held = small.sql`select pg_sleep(3)`.then(() => {
      over = true
    })
    const error = await caught(small.ping(100))
    expect(error).toBeInstanceOf(DatabaseTimeout)
    expect(isUnavailable(error)).toBe(true)
    expect(over).toBe(false)
    await held
    await small.ping()
    await small[Symbol.asyncDispose]()
  })
})

describe('pool', () => {
  test('tells how many connections work, and is empty afterwards', async () => {
    const pool = await database.open({ settings: { ...databaseSettings, DB_POOL_MAX: 4 } })
    expect(pool.pool()).toEqual({ acquired: 0, max: 4 })
    let release = () => {}
    const open = new Promise<void>((resolve) => {
      release = resolve
    })
    const transaction = pool.transaction(async (tx) => {
      await tx.sql`select 1`
      await open
    })
    const statement = pool.sql`select pg_sleep(0.2)`.execute()
    const reserved = await pool.sql.reserve()
    await eventually(() => pool.pool().acquired === 3)
    reserved.release()
    release()
    await Promise.all([transaction, statement])
    expect(pool.pool().acquired).toBe(0)
    await caught(pool.sql`select 1/0`)
    await pool.orm.select().from(zones)
    await Promise.all(Array.from({ length: 30 }, () => pool.sql`select 1`))
    expect(pool.pool()).toEqual({ acquired: 0, max: 4 })
    await pool[Symbol.asyncDispose]()
  })

  test('a terminated backend fails its own statement only', async () => {
    const pool = await database.open({ applicationName: 'to-be-dropped' })
    const running = caught(pool.sql`select pg_sleep(5)`)
    await eventually(async () => {
      const [row] = await dropConnections('to-be-dropped')
      return row !== undefined
    })
    expect(isUnavailable(await running)).toBe(true)
    await eventually(() => pool.ping())
    await pool[Symbol.asyncDispose]()
  })
})

describe('listen', () => {
  test('hears its channel, survives a drop and tells about it, ends when disposed', async () => {
    const pool = await database.open({ applicationName: 'listener' })
    const heard: string[] = []
    let reconnects = 0
    const subscription = await pool.listen(
      'caracal_test',
      (payload) => heard.push(payload),
      () => {
        reconnects += 1
      },
    )
    await db.sql`select pg_notify('caracal_test', 'one'), pg_notify('caracal_other', 'none')`
    await eventually(() => heard.length === 1)

    await dropConnections('listener')
    await eventually(() => reconnects === 1)
    await db.sql`select pg_notify('caracal_test', 'two')`
    await eventually(() => heard.length === 2)
    expect(heard).toEqual(['one', 'two'])

    await subscription[Symbol.asyncDispose]()
    await db.sql`select pg_notify('caracal_test', 'three')`
    await sleep(50)
    expect(heard).toEqual(['one', 'two'])
    await pool[Symbol.asyncDispose]()
  })

  test('several channels and listeners share one connection', async () => {
    const pool = await database.open({ applicationName: 'listeners' })
    const heard: string[] = []
    const subscriptions = await Promise.all([
      pool.listen('caracal_a', (payload) => heard.push(`1${payload}`)),
      pool.listen('caracal_a', (payload) => heard.push(`2${payload}`)),
      pool.listen('caracal_b', (payload) => heard.push(`3${payload}`)),
    ])
    await db.sql`select pg_notify('caracal_a', 'a'), pg_notify('caracal_b', 'b')`
    await eventually(() => heard.length === 3)
    expect(heard.sort()).toEqual(['1a', '2a', '3b'])
    const [row] = await database.admin`
      select count(*)::int as n from pg_stat_activity where application_name = 'listeners' and query ilike 'listen%'`
    expect(row?.n).toBe(1)
    for (const subscription of subscriptions) await subscription[Symbol.asyncDispose]()
    await pool[Symbol.asyncDispose]()
  })
})

describe('what counts as unavailable', () => {
  test('a closed port, a missing socket and a server that says nothing', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as { port: number }
    const open = (host: string, at: number) =>
      openDatabase({
        connection: { host, port: at, database: 'x', user: 'x' },
        applicationName: 'x',
        log: silentLog,
        settings: { ...databaseSettings, DB_CONNECTION_TIMEOUT_MS: 1000 },
      })
    for (const [host, at] of [
      ['127.0.0.1', 1],
      ['/tmp/no-such-directory', 5432],
      ['127.0.0.1', port],
    ] as const) {
      expect(isUnavailable(await caught(open(host, at)))).toBe(true)
    }
    silent.close()
  })

  test('an answer that says no is none', async () => {
    const errors = await Promise.all([
      caught(db.sql`select 1/0`),
      caught(db.sql`select * from nowhere`),
      caught(db.orm.insert(zones).values({ id: 'x', name: 'x', slug: 'x', ownerAccountId: '\0' })),
    ])
    for (const error of errors) {
      expect(error).toBeInstanceOf(Error)
      expect(isUnavailable(error)).toBe(false)
      expect(sqlState(error)).toMatch(/^[0-9A-Z]{5}$/)
    }
    expect(isUnavailable(new TypeError('x'))).toBe(false)
    expect(isUnavailable(undefined)).toBe(false)
  })

  test.each([
    '40001',
    '40P01',
    '57P01',
    '57P02',
    '57P03',
    '08000',
    '08001',
    '08003',
    '08004',
    '08006',
    '53300',
    '53400',
  ])('SQLSTATE %s, also as a cause', (code) => {
    const error = Object.assign(new Error('x'), { code })
    expect(isUnavailable(error)).toBe(true)
    expect(isUnavailable(new Error('wrapped', { cause: error }))).toBe(true)
  })

  test('a statement that ran out of time is an answer', async () => {
    const hasty = await database.open({ settings: { ...databaseSettings, DB_STATEMENT_TIMEOUT_MS: 50 } })
    const error = await caught(hasty.sql`select pg_sleep(1)`)
    expect([sqlState(error), isUnavailable(error)]).toEqual(['57014', false])
    await hasty[Symbol.asyncDispose]()
  })
})
