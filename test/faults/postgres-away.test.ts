/**
 * Postgres away from a running ingest for longer than its budget of deliveries, while evidence goes on
 * arriving on Redis: nothing is dead-lettered, nothing is lost, and all of it is stored by itself afterwards.
 * TEST_AWAY_SECONDS makes it as long as one likes, with the intervals of a deployment from a minute on.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Bus } from '../../src/platform/bus/port.ts'
import { createRedisBus } from '../../src/platform/bus/redis.ts'
import { keyRing } from '../../src/platform/crypto/key-ring.ts'
import { createRegistry } from '../../src/platform/observe/metrics.ts'
import { type AuditSink, createAuditSink, verifyChain } from '../../src/roles/audit/index.ts'
import { freePorts } from '../../src/server/free-ports.ts'
import { addressOf, deadLetterStream, event, stream } from '../acceptance/audit/scene.ts'
import { createTestDatabase, type TestDatabase } from '../fixtures/database.ts'
import { eventually } from '../fixtures/eventually.ts'
import { testKeys, testSettings } from '../fixtures/settings.ts'
import { type CuttableProxy, createCuttableProxy } from '../platform/bus/cuttable-proxy.ts'
import { openRedisServer, type RedisServer } from '../platform/bus/redis-server.ts'

const zone = 'zone-away'
const awaySeconds = Number(process.env.TEST_AWAY_SECONDS ?? 12)
/** Deliveries are counted every claim interval: three times their budget fit into the outage. */
const claimSeconds = awaySeconds < 60 ? 1 : 30
const maxDeliveries = awaySeconds < 60 ? 4 : 8
const perSecond = 50

let database: TestDatabase
let redis: RedisServer
let door: CuttableProxy
let bus: Bus
let sink: AuditSink
let directory: string
let child: ChildProcess
let origin: string
let errors = ''

beforeAll(async () => {
  database = await createTestDatabase()
  redis = await openRedisServer()
  door = await createCuttableProxy(addressOf(database.connection))
  const redisUrl = `redis://${redis.host}:${redis.port}${redis.path}`
  bus = createRedisBus({
    url: redisUrl,
    log: pino({ level: 'silent' }),
    settings: { REDIS_DIAL_TIMEOUT: 2000, REDIS_READ_TIMEOUT: 3000 },
  })
  await bus.ping()
  directory = await mkdtemp(join(tmpdir(), 'caracal-away-'))
  sink = createAuditSink({
    bus,
    keys: keyRing(testSettings()),
    directory,
    log: pino({ level: 'silent' }),
    metrics: createRegistry(),
    metricPrefix: 'caracal_sts',
  })
  const target = database.connection
  const url =
    typeof target === 'string'
      ? new URL(target)
      : new URL(`postgres://${target.user}:${encodeURIComponent(target.password ?? '')}@x/${target.database}`)
  url.host = `127.0.0.1:${door.port}`
  const [port = 0] = await freePorts(1)
  origin = `http://127.0.0.1:${port}`
  child = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../dist/main.js', import.meta.url)), 'serve', '--role', 'audit'],
    {
      env: {
        PATH: process.env.PATH,
        ...testKeys,
        CARACAL_MODE: 'dev',
        DATABASE_URL: url.href,
        REDIS_URL: redisUrl,
        AUDIT_PORT: String(port),
        AUDIT_CLAIM_IDLE_SECS: String(claimSeconds),
        AUDIT_MAX_DELIVERIES: String(maxDeliveries),
        LOG_LEVEL: 'error',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = `${errors}${chunk}`.slice(-4000)
  })
})
afterAll(async () => {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await ended
  await sink[Symbol.asyncDispose]()
  await bus[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
  await redis[Symbol.asyncDispose]()
  await door[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

async function ready(): Promise<string> {
  const answer = await fetch(`${origin}/ready`, { signal: AbortSignal.timeout(10_000) })
  const { reason } = (await answer.json()) as { readonly reason?: string }
  return reason ?? 'ready'
}

async function stored(): Promise<number> {
  const [row] = await database.admin<{ n: number }[]>`
    select count(*)::int as n from audit_events where zone_id = ${zone}`
  return row?.n ?? 0
}

it(
  'costs no evidence',
  async () => {
    const sent = new Set<string>()
    const send = async (count: number): Promise<void> => {
      const events = Array.from({ length: count }, () => event(zone))
      const accepted = await Promise.all(events.map((one) => sink.emit(one)))
      expect(accepted).not.toContain('lost')
      for (const one of events) sent.add(one.id)
    }
    await eventually(async () => (await ready()) === 'ready', { timeoutMs: 60_000 })
    await send(perSecond)
    await eventually(async () => (await stored()) === sent.size, { timeoutMs: 30_000 })

    // Evidence is under way in the moment Postgres goes: some of it is delivered and cannot be stored.
    await Promise.all([send(perSecond), door.cut()])
    const until = performance.now() + awaySeconds * 1000
    while (performance.now() < until) {
      await send(perSecond)
      await sleep(1000)
    }
    expect(await eventually(async () => ((await ready()) === 'ready' ? null : ready()))).toBe(
      'postgres_unreachable',
    )
    await door.restore()

    // A bus that answered too late left some of it in the journal.
    const drained = eventually(
      async () => {
        await sink.drainJournal()
        return (await stored()) >= sent.size
      },
      { timeoutMs: 60_000, intervalMs: 200 },
    )
    await drained.catch((error) => {
      throw new Error(errors, { cause: error })
    })
    const rows = await database.admin<{ id: string }[]>`select id from audit_events where zone_id = ${zone}`
    expect(rows).toHaveLength(sent.size)
    expect(new Set(rows.map(({ id }) => id))).toEqual(sent)
    expect(await verifyChain(database.db, keyRing(testSettings()).audit, zone)).toMatchObject({
      checked: sent.size,
      findings: [],
    })
    expect(await bus.length(deadLetterStream)).toBe(0)
    await eventually(async () => (await bus.group(stream, 'audit-ingestor').stats()).pending === 0, {
      timeoutMs: 60_000,
    })
    await eventually(async () => (await ready()) === 'ready', { timeoutMs: 60_000 })
  },
  (awaySeconds + 180) * 1000,
)
