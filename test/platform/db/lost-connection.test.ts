/** What happens to work under way when the server drops its connections (storage-and-operations check 33). */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Database } from '../../../src/platform/db/port.ts'
import { isUnavailable } from '../../../src/platform/db/unavailable.ts'
import { createTestDatabase, databaseSettings, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'

let database: TestDatabase
let db: Database
beforeAll(async () => {
  database = await createTestDatabase()
  db = await database.open({ applicationName: 'victim', settings: { ...databaseSettings, DB_POOL_MAX: 4 } })
  await database.admin.unsafe('create table marks (id text primary key); grant all on marks to caracal_app')
})
afterAll(async () => {
  await db[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})
beforeEach(async () => {
  await database.admin`truncate marks`
})

const caught = (work: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(work).then(
    () => null,
    (error: unknown) => error,
  )
const dropAll = async () => {
  await database.admin`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'victim'`
  // The close has arrived when a plain statement was answered by a new connection.
  await sleep(50)
  await eventually(() => db.ping())
}
const marks = async () => (await database.admin`select id from marks order by id`).map((row) => row.id)

describe('a transaction that waits for something else while its connection is lost', () => {
  test('rejects, and its later statements run nowhere', async () => {
    const later: unknown[] = []
    const error = await caught(
      db.transaction(async (tx) => {
        await tx.sql`insert into marks values ('before')`
        await dropAll()
        later.push(await caught(tx.sql`insert into marks values ('after')`))
        await tx.sql`insert into marks values ('again')`
      }),
    )
    expect(isUnavailable(error)).toBe(true)
    await eventually(() => later.length === 1)
    expect(isUnavailable(later[0])).toBe(true)
    await sleep(50)
    expect(await marks()).toEqual([])
  })

  test('even when the work swallows every error', async () => {
    const error = await caught(
      db.transaction(async (tx) => {
        await tx.sql`insert into marks values ('one')`
        await dropAll()
        await caught(tx.sql`insert into marks values ('two')`)
        return 'fine'
      }),
    )
    expect(isUnavailable(error)).toBe(true)
    expect(await marks()).toEqual([])
  })

  test('onCommit does not run', async () => {
    let committed = false
    await caught(
      db.transaction(async (tx) => {
        tx.onCommit(() => {
          committed = true
        })
        await tx.sql`select 1`
        await dropAll()
      }),
    )
    expect(committed).toBe(false)
  })
})

test('statements in line behind a lost one all reject, and none runs later', async () => {
  const connection = await db.sql.reserve()
  const line = [
    connection`select pg_sleep(${5})`,
    ...['a', 'b', 'c'].map((id) => connection`insert into marks values (${id})`),
  ].map((statement) => caught(statement))
  await sleep(50)
  await dropAll()
  for (const error of await Promise.all(line)) expect(isUnavailable(error)).toBe(true)
  expect(isUnavailable(await caught(connection`insert into marks values ('d')`))).toBe(true)
  connection.release()
  await sleep(50)
  expect(await marks()).toEqual([])
})

test('a reserved connection that idles through a loss says so at its next statement', async () => {
  const connection = await db.sql.reserve()
  await connection`select pg_advisory_lock(1)`
  await dropAll()
  expect(isUnavailable(await caught(connection`select pg_advisory_unlock(1)`))).toBe(true)
  connection.release()
  expect(db.pool().acquired).toBe(0)
})

test('statements, transactions and reserved connections under load come back by themselves', async () => {
  let stop = false
  const outcome = { good: 0, unavailable: 0, other: [] as unknown[] }
  const note = (error: unknown) => {
    if (error === null) outcome.good += 1
    else if (isUnavailable(error)) outcome.unavailable += 1
    else outcome.other.push(error)
  }
  const workers = Array.from({ length: 12 }, async (_, n) => {
    while (!stop) {
      const error =
        n % 3 === 0
          ? await caught(db.sql`select ${n}::int as n, ${['x']}::text[] as list`)
          : n % 3 === 1
            ? await caught(
                db.transaction(
                  async (tx) => {
                    await tx.sql`select ${n}::int`
                    await sleep(1)
                    await Promise.all([tx.sql`select ${'y'}::text`, tx.sql`select 2`])
                  },
                  { zone: 'z' },
                ),
              )
            : await caught(
                db.sql.reserve().then(async (connection) => {
                  const all = await Promise.allSettled([
                    connection`begin`,
                    connection`select ${n}::int`,
                    connection`commit`,
                  ])
                  connection.release()
                  const failed = all.find((one) => one.status === 'rejected')
                  if (failed) throw failed.reason
                }),
              )
      note(error)
      if (error !== null) await sleep(2)
    }
  })
  for (let round = 0; round < 12; round += 1) {
    await sleep(60 + Math.random() * 60)
    await database.admin`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'victim'`
  }
  const before = outcome.good
  await eventually(() => outcome.good > before + 50)
  stop = true
  await Promise.all(workers)
  expect(outcome.other).toEqual([])
  expect(outcome.unavailable).toBeGreaterThan(0)
  await eventually(() => db.pool().acquired === 0)
  await db.transaction((tx) => tx.sql`select 1`)
}, 20_000)

test('a session of its own is beside the pool, holds its lock until it is disposed, and tells of its loss', async () => {
  const key = 7_331
  const free = async () => {
    const [row] =
      await database.admin`select pg_try_advisory_lock(${key}) as locked, pg_advisory_unlock(${key})`
    return row?.locked === true
  }
  const session = await db.session()
  expect(db.pool().acquired).toBe(0)
  await session.sql`select pg_advisory_lock(${key})`
  expect(await free()).toBe(false)
  session[Symbol.dispose]()
  await eventually(free)

  const lost = await db.session()
  await lost.sql`select 1`
  await dropAll()
  expect(isUnavailable(await caught(lost.lost))).toBe(true)
  expect(isUnavailable(await caught(lost.sql`select 1`))).toBe(true)
})

test('the hot line runs the statements of a turn in order on one connection, and comes back after a loss', async () => {
  const answers = await Promise.all(
    [1, 2, 3].map(
      (n) => db.hot<{ n: number; pid: number }[]>`select ${n}::int as n, pg_backend_pid() as pid`,
    ),
  )
  expect(answers.map(([row]) => row?.n)).toEqual([1, 2, 3])
  expect(new Set(answers.map(([row]) => row?.pid)).size).toBe(1)
  const underWay = caught(db.hot`select pg_sleep(5)`)
  await sleep(50)
  await dropAll()
  expect(isUnavailable(await underWay)).toBe(true)
  await eventually(async () => (await db.hot`select 1 as one`)[0]?.one === 1)
})

describe('the life of a lease', () => {
  test('a statement after the end of its transaction is refused', async () => {
    const { sql } = await db.transaction(async (tx) => {
      await tx.sql`select 1`
      return tx
    })
    await expect(sql`insert into marks values ('late')`).rejects.toThrow(/after the end of its transaction/)
    expect(await marks()).toEqual([])
  })

  test('transactions beyond the connections wait their turn', async () => {
    const order: number[] = []
    await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        db.transaction(async (tx) => {
          await tx.sql`select pg_sleep(0.01)`
          order.push(n)
        }),
      ),
    )
    expect(order.toSorted((a, b) => a - b)).toEqual([...Array(10).keys()])
    expect(db.pool().acquired).toBe(0)
  })

  test('a statement of the pool inside a transaction never waits for it', async () => {
    await Promise.all(
      Array.from({ length: 8 }, () =>
        db.transaction(async (tx) => {
          await tx.sql`select 1`
          await db.sql`select 2`
        }),
      ),
    )
  })

  test('a failed statement fails the transaction although its error was caught', async () => {
    const error = await caught(
      db.transaction(async (tx) => {
        await tx.sql`insert into marks values ('x')`
        await caught(tx.sql`select 1/0`)
        return 'fine'
      }),
    )
    expect(error).toMatchObject({ code: '22012' })
    expect(await marks()).toEqual([])
  })

  test('a savepoint confines a failure; nested ones too', async () => {
    await db.transaction(async (tx) => {
      await tx.sql`insert into marks values ('kept')`
      const error = await caught(
        tx.sql.savepoint(async (inner) => {
          await inner`insert into marks values ('undone')`
          await inner.savepoint(async (innermost) => innermost`insert into marks values ('undone too')`)
          await inner`insert into marks values ('kept')`
        }),
      )
      expect(error).toMatchObject({ code: '23505' })
      const answer = await tx.sql.savepoint('named', async (inner) => {
        await inner`insert into marks values ('also kept')`
        return 7
      })
      expect(answer).toBe(7)
    })
    expect(await marks()).toEqual(['also kept', 'kept'])
  })

  test('Drizzle transactions and sql.begin go the same safe way', async () => {
    await caught(
      db.orm.transaction(async (tx) => {
        await tx.execute("insert into marks values ('drizzle')")
        throw new Error('no')
      }),
    )
    const rows = await db.sql.begin('read only', async (tx) => [
      await tx`select 1 as one`,
      await tx`select 2 as two`,
    ])
    expect(rows).toMatchObject([[{ one: 1 }], [{ two: 2 }]])
    const refused = await caught(db.sql.begin('read only', (tx) => tx`insert into marks values ('x')`))
    expect(refused).toMatchObject({ code: '25006' })
    expect(await marks()).toEqual([])
  })

  test('a zone with letters that mean something to SQL stays a zone', async () => {
    const zone = `a'; insert into marks values ('injected'); --`
    const [row] = await db.transaction((tx) => tx.sql`select current_setting('caracal.zone_id') as zone`, {
      zone,
    })
    expect(row?.zone).toBe(zone)
    expect(await marks()).toEqual([])
  })

  test('idle connections close, and the pool opens new ones', async () => {
    const idle = await database.open({
      applicationName: 'idler',
      settings: { ...databaseSettings, DB_IDLE_TIMEOUT_MS: 1000 },
    })
    await idle.transaction((tx) => tx.sql`select 1`)
    const connections = async () => {
      const [row] =
        await database.admin`select count(*)::int as n from pg_stat_activity where application_name = 'idler'`
      return row?.n
    }
    expect(await connections()).toBeGreaterThan(0)
    await eventually(async () => (await connections()) === 0)
    await idle.transaction((tx) => tx.sql`select 1`)
    await idle[Symbol.asyncDispose]()
  })

  test('after the end nothing is opened any more', async () => {
    const ended = await database.open({})
    await ended[Symbol.asyncDispose]()
    expect(isUnavailable(await caught(ended.transaction((tx) => tx.sql`select 1`)))).toBe(true)
    expect(isUnavailable(await caught(ended.sql`select 1`))).toBe(true)
  })
})
