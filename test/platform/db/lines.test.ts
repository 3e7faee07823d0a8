/** Statements while their connection breaks: each is answered, and the next connection owes nothing to the last. */
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect } from '../../../src/platform/db/connection.ts'
import { createOutage } from '../../../src/platform/db/outage.ts'
import type { Pool } from '../../../src/platform/db/pool.ts'
import { isUnavailable } from '../../../src/platform/db/unavailable.ts'
import { addressOf } from '../../acceptance/audit/scene.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'

let database: TestDatabase
let pool: Pool
let mode: 'pass' | 'reset at the next answer' | 'hang up' = 'pass'
const sockets = new Set<Socket>()

const door = createServer((client) => {
  sockets.add(client)
  client.on('error', () => undefined)
  if (mode === 'hang up') {
    client.destroy()
    return
  }
  const server = dial(addressOf(database.connection))
  sockets.add(server)
  server.on('error', () => undefined)
  client.on('data', (data) => server.write(data))
  client.on('close', () => server.destroy())
  server.on('data', (data) => {
    if (mode === 'reset at the next answer') {
      mode = 'pass'
      client.resetAndDestroy()
      server.destroy()
    } else client.write(data)
  })
})

beforeAll(async () => {
  database = await createTestDatabase()
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
  const { connection } = database
  const { user, password, name } =
    typeof connection === 'string'
      ? { user: new URL(connection).username, password: new URL(connection).password, name: database.name }
      : { user: connection.user, password: connection.password ?? '', name: connection.database }
  pool = connect(
    { host: '127.0.0.1', port: (door.address() as AddressInfo).port, user, password, database: name },
    { applicationName: 'caracal-lines', statementTimeoutMs: 5000, idleInTransactionTimeoutMs: 5000 },
    { max: 4, connectTimeoutMs: 1000, idleTimeoutMs: 100 },
  )
})
afterAll(async () => {
  await pool.sql.end({ timeout: 1 })
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => door.close(resolve))
  await database[Symbol.asyncDispose]()
})

const caught = (work: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(work).then(
    () => null,
    (error: unknown) => error,
  )

describe.each(['hot', 'hotWrites', 'sql'] as const)('%s', (name) => {
  test('a statement that follows a broken one at once is answered, and so is the next', async () => {
    for (let round = 0; round < 5; round += 1) {
      const line = pool[name]
      await line`select 1`
      mode = 'reset at the next answer'
      const began = performance.now()
      expect(isUnavailable(await caught(line`select 2`))).toBe(true)
      // The driver still believes in the connection at this moment.
      const second = await caught(line`select 3`)
      if (second !== null) expect(isUnavailable(second)).toBe(true)
      expect(await line`select 4 as n`).toEqual([{ n: 4 }])
      expect(performance.now() - began).toBeLessThan(4000)
    }
  })
})

test('an address that takes connections and hangs up is given up in time', async () => {
  mode = 'hang up'
  for (const socket of sockets) socket.destroy()
  await caught(pool.sql`select 1`)
  const began = performance.now()
  expect(isUnavailable(await caught(pool.sql`select 1`))).toBe(true)
  expect(performance.now() - began).toBeLessThan(9000)
  mode = 'pass'
  expect(await pool.sql`select 5 as n`).toEqual([{ n: 5 }])
})

test('unused connections close, and statements open new ones', async () => {
  await pool.sql`select 1`
  const [mine] = await pool.sql<{ pid: number }[]>`select pg_backend_pid() as pid`
  await eventually(async () => {
    const found = await database.admin`select 1 from pg_stat_activity where pid = ${mine?.pid ?? 0}`
    return found.length === 0
  })
  expect(await pool.sql`select 6 as n`).toEqual([{ n: 6 }])
})

describe('outage', () => {
  test('pauses grow to half a second, once for connections that end together', () => {
    let at = 1000
    const outage = createOutage(() => at)
    expect(outage.waitMs()).toBe(0)
    const pauses: number[] = []
    for (let failure = 0; failure < 10; failure += 1) {
      outage.lost()
      const wait = outage.waitMs()
      outage.lost()
      expect(outage.waitMs()).toBe(wait)
      pauses.push(wait)
      at += wait
    }
    expect(pauses[0]).toBeLessThanOrEqual(20)
    expect(pauses.at(-1)).toBeGreaterThanOrEqual(250)
    expect(pauses.at(-1)).toBeLessThanOrEqual(500)
    outage.lost()
    outage.answered()
    expect(outage.waitMs()).toBe(0)
    outage.lost()
    expect(outage.waitMs()).toBeLessThanOrEqual(20)
  })
})
