import pino from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Ephemera } from '../../../src/platform/ephemera/port.ts'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { createStsCounters } from '../../../src/roles/sts/metrics.ts'
import { refreshOnce } from '../../../src/roles/sts/providers/refresh-lease.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

let database: TestDatabase
let ephemera: Ephemera

beforeAll(async () => {
  database = await createTestDatabase()
  ephemera = createPostgresEphemera({ db: database.db, log: pino({ level: 'silent' }) })
})
afterAll(async () => {
  await ephemera[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

test('a holder that cannot begin gives its lease back', async () => {
  const failing: Ephemera = { ...ephemera, delete: () => Promise.reject(new Error('away')) }
  let refreshed = 0
  const refresh = async () => {
    refreshed += 1
  }
  await expect(refreshOnce(failing, 'connection-1', createStsCounters(), refresh)).rejects.toMatchObject({
    code: 'sts_unavailable',
  })
  const [row] = await database.db.sql`select count(*)::int as locks from ephemera where key like '%:lock'`
  expect([row?.locks, refreshed]).toEqual([0, 0])
})
