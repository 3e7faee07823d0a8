import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPostgresEphemera, type PostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { createMintLimit } from '../../../src/roles/sts/mint-limit.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { silent } from '../../platform/bus/postgres-store.ts'

let database: TestDatabase
let ephemera: PostgresEphemera

beforeAll(async () => {
  database = await createTestDatabase()
  ephemera = createPostgresEphemera({ db: database.db, log: silent })
})

afterAll(async () => {
  await ephemera[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

const key = () => `rl:test:${randomUUID()}`

test('one process grants exactly the limit, however the uses come', async () => {
  const k = key()
  const limit = createMintLimit(ephemera, 1000)
  const counts: number[] = []
  for (let round = 0; round < 11; round += 1) {
    const counters = await Promise.all(Array.from({ length: 100 }, () => limit.count([k])))
    counts.push(...counters.map(([counter]) => counter?.count ?? 0))
  }
  expect(counts).toEqual(Array.from({ length: 1100 }, (_, n) => n + 1))
  expect(counts.filter((count) => count <= limit.perMinute())).toHaveLength(1000)
})

test('two processes together never grant more than the limit, and lose less than a block each', async () => {
  const k = key()
  const limits = [createMintLimit(ephemera, 200), createMintLimit(ephemera, 200)]
  const counts: number[] = []
  for (let round = 0; round < 130; round += 1) {
    for (const limit of limits) counts.push((await limit.count([k]))[0]?.count ?? 0)
  }
  expect(new Set(counts).size).toBe(counts.length)
  const granted = counts.filter((count) => count <= 200).length
  expect(granted).toBeLessThanOrEqual(200)
  expect(granted).toBeGreaterThanOrEqual(196)
})

test('a small limit is counted use by use', async () => {
  const k = key()
  const limit = createMintLimit(ephemera, 3)
  const counts = await Promise.all(Array.from({ length: 5 }, () => limit.count([k])))
  expect(counts.map(([counter]) => counter?.count)).toEqual([1, 2, 3, 4, 5])
  expect(counts[4]?.[0]?.remainingMs).toBeGreaterThan(0)
})
