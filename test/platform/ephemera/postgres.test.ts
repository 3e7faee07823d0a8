import { describe, expect, test } from 'vitest'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import { createPostgresStore, silent } from '../bus/postgres-store.ts'
import { ephemeraContract } from './contract.ts'

async function createStore() {
  const store = await createPostgresStore()
  const { admin } = store
  return {
    async open() {
      const db = await store.openDatabase()
      const ephemera = createPostgresEphemera({ db, log: silent })
      return {
        ...ephemera,
        async [Symbol.asyncDispose]() {
          await ephemera[Symbol.asyncDispose]()
          await db[Symbol.asyncDispose]()
        },
      }
    },
    identified: true,
    cut: store.cut,
    restore: store.restore,
    drop: store.drop,
    losses: {
      truncate: async () => {
        await admin`truncate ephemera`
      },
    },
    async now() {
      const [row] = await admin<{ ms: number }[]>`
        select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`
      return row?.ms ?? 0
    },
    [Symbol.asyncDispose]: store[Symbol.asyncDispose],
  }
}

ephemeraContract('Postgres', createStore)

describe('rows of the Postgres driver', () => {
  test('the sweep deletes what expired and nothing else', async () => {
    await using store = await createPostgresStore()
    await using db = await store.openDatabase()
    await using ephemera = createPostgresEphemera({ db, log: silent })
    await ephemera.replay.establish(new AbortController().signal)
    await Promise.all(Array.from({ length: 3000 }, (_, n) => ephemera.set(`old:${n}`, 'x', 1)))
    await ephemera.set('new', 'x', 60_000)
    await new Promise((resolve) => setTimeout(resolve, 20))
    for (const job of ephemera.jobs) await job.run(jobContext())
    const rows = await store.admin<{ key: string }[]>`select key from ephemera order by key`
    expect(rows.map((row) => row.key)).toEqual(['caracal:replay:birth', 'new'])
  })

  test('an expired marker is claimed again, a live one is not', async () => {
    await using store = await createPostgresStore()
    await using db = await store.openDatabase()
    await using ephemera = createPostgresEphemera({ db, log: silent })
    expect(await ephemera.setIfAbsent('k', 'a', 1)).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await ephemera.setIfAbsent('k', 'b', 60_000)).toBe(true)
    expect(await ephemera.setIfAbsent('k', 'c', 60_000)).toBe(false)
    expect(await ephemera.get('k')).toBe('b')
  })

  test('a memory that comes back from a dump is another one: what was claimed since then is refused', async () => {
    await using store = await createPostgresStore()
    await using db = await store.openDatabase()
    const start = () => createPostgresEphemera({ db, log: silent })
    const { signal } = new AbortController()
    const nowSeconds = async () => {
      const [row] = await store.admin<{ s: number }[]>`select extract(epoch from now())::float8 as s`
      return Math.floor(row?.s ?? 0)
    }
    await using first = start()
    await first.replay.establish(signal)
    const issuedAt = await nowSeconds()
    await store.admin`create table dumped as select * from ephemera`
    expect(await first.replay.claim('seen:jti:a', '1', 60_000, issuedAt)).toBe('fresh')

    await store.admin`truncate ephemera`
    await store.admin`insert into ephemera select * from dumped`
    await using restored = start()
    await restored.replay.establish(signal)
    expect(await restored.replay.claim('seen:jti:a', '1', 60_000, issuedAt)).toBe('predates_memory')
    const younger = await nowSeconds()
    expect(await restored.replay.claim('seen:jti:b', '1', 60_000, younger)).toBe('fresh')

    // A start that finds the memory whole leaves it so, and one after a vacuum that freezes does too.
    await store.admin`vacuum (full, freeze) ephemera`
    await using next = start()
    await next.replay.establish(signal)
    expect(await next.replay.claim('seen:jti:c', '1', 60_000, younger)).toBe('fresh')
    expect(await next.replay.claim('seen:jti:b', '1', 60_000, younger)).toBe('replayed')
  })
})
