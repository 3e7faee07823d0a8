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
})
