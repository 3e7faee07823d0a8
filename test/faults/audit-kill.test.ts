/**
 * kill -9 of the ingesting process in the middle of 5,000 events a second, again and again: no event is
 * lost, none is stored twice, the chain has no gap, nothing reaches the dead letters.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createPostgresBus, type PostgresBus } from '../../src/platform/bus/postgres.ts'
import { hmacHex } from '../../src/platform/crypto/hmac.ts'
import { keyRing } from '../../src/platform/crypto/key-ring.ts'
import { verifyChain } from '../../src/roles/audit/index.ts'
import { freePorts } from '../../src/server/free-ports.ts'
import { addressOf, deadLetterStream, event, stream } from '../acceptance/audit/scene.ts'
import { createTestDatabase, type TestDatabase } from '../fixtures/database.ts'
import { eventually } from '../fixtures/eventually.ts'
import { testKeys, testSettings } from '../fixtures/settings.ts'
import { type CuttableProxy, createCuttableProxy } from '../platform/bus/cuttable-proxy.ts'

const zone = 'zone-kill'
const total = 20_000
const batch = 250
const kills = 4

let database: TestDatabase
let door: CuttableProxy
let bus: PostgresBus
let child: ChildProcess | null = null

beforeAll(async () => {
  database = await createTestDatabase()
  door = await createCuttableProxy(addressOf(database.connection))
  bus = createPostgresBus({ db: database.db, log: pino({ level: 'silent' }) })
})
afterAll(async () => {
  await kill()
  await bus[Symbol.asyncDispose]()
  await door[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

async function start(): Promise<void> {
  const target = database.connection
  const url =
    typeof target === 'string'
      ? new URL(target)
      : new URL(`postgres://${target.user}:${encodeURIComponent(target.password ?? '')}@x/${target.database}`)
  url.host = `127.0.0.1:${door.port}`
  const [port = 0] = await freePorts(1)
  child = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../dist/main.js', import.meta.url)), 'serve', '--role', 'audit'],
    {
      env: {
        PATH: process.env.PATH,
        ...testKeys,
        CARACAL_MODE: 'dev',
        DATABASE_URL: url.href,
        AUDIT_PORT: String(port),
        AUDIT_CLAIM_IDLE_SECS: '1',
        LOG_LEVEL: 'error',
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  )
}

async function kill(): Promise<void> {
  if (child === null || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child?.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

async function stored(): Promise<number> {
  const [row] = await database.admin<{ n: number }[]>`
    select count(*)::int as n from audit_events where zone_id = ${zone}`
  return row?.n ?? 0
}

it('loses nothing and repeats nothing', async () => {
  const { audit } = keyRing(testSettings())
  const key = audit.current
  if (key === null) throw new Error('no key to sign with')
  const sent = new Set<string>()
  await start()
  const publishing = (async () => {
    const startedAt = performance.now()
    while (sent.size < total) {
      const events = Array.from({ length: batch }, () => event(zone))
      const outcomes = await bus.publish(
        events.map((one) => {
          const data = JSON.stringify(one)
          return { stream, fields: { id: one.id, data, sig: hmacHex(key, data) } }
        }),
      )
      if (outcomes.some((outcome) => !outcome.ok)) throw new Error('the bus refused an event')
      for (const one of events) sent.add(one.id)
      const ahead = (sent.size / 5_000) * 1000 - (performance.now() - startedAt)
      if (ahead > 0) await sleep(ahead)
    }
  })()
  for (let round = 0; round < kills; round += 1) {
    const before = await stored()
    // Somewhere within its work, not between two batches.
    await eventually(async () => (await stored()) > before, { timeoutMs: 30_000, intervalMs: 5 })
    await sleep(round * 37)
    await kill()
    await start()
  }
  await publishing
  await eventually(async () => (await stored()) >= total, { timeoutMs: 60_000, intervalMs: 200 })

  expect(await stored()).toBe(total)
  const rows = await database.admin<{ id: string }[]>`select id from audit_events where zone_id = ${zone}`
  expect(new Set(rows.map((row) => row.id))).toEqual(sent)
  expect(await verifyChain(database.db, audit, zone)).toMatchObject({ checked: total, findings: [] })
  expect(await bus.length(deadLetterStream)).toBe(0)
  await eventually(async () => (await bus.group(stream, 'audit-ingestor').stats()).pending === 0, {
    timeoutMs: 30_000,
  })
}, 180_000)
