/** An audit deployment for acceptance checks: a bus, a database behind a door that can be shut, and replicas. */
import type { NetConnectOpts } from 'node:net'
import { pino } from 'pino'
import type { Settings } from '../../../src/config/env.ts'
import type { Bus, StreamEntry } from '../../../src/platform/bus/port.ts'
import { createPostgresBus } from '../../../src/platform/bus/postgres.ts'
import { createRedisBus } from '../../../src/platform/bus/redis.ts'
import { hmacHex } from '../../../src/platform/crypto/hmac.ts'
import type { ConnectionTarget } from '../../../src/platform/db/connection.ts'
import type { Database } from '../../../src/platform/db/port.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { createRegistry } from '../../../src/platform/observe/metrics.ts'
import type { Role } from '../../../src/platform/role.ts'
import { type AuditDeps, type AuditEvent, createAudit } from '../../../src/roles/audit/index.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { testSettings } from '../../fixtures/settings.ts'
import { type CuttableProxy, createCuttableProxy } from '../../platform/bus/cuttable-proxy.ts'
import { openRedisServer } from '../../platform/bus/redis-server.ts'

const secret = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
export const hmac = { current: secret, accepted: [secret] }
const keys = { audit: hmac, streams: hmac, gatewaySts: hmac, idempotency: hmac }
const log = pino({ level: process.env.TEST_LOG ?? 'silent' })
export const stream = 'caracal.audit.events'
export const deadLetterStream = 'caracal.audit.events.dlq'

const published: Partial<Settings> = {
  CARACAL_MODE: 'stable',
  AUDIT_ADMIN_TOKEN: 't',
  METRICS_BEARER: 'm',
}

export interface Replica extends AsyncDisposable {
  readonly role: Role
  readonly db: Database
  readonly deps: AuditDeps
  /** Runs one job of the role by name. */
  run(job: string): Promise<void>
  get(path: string, bearer?: string | null): Promise<Response>
}

export interface Scene extends AsyncDisposable {
  readonly database: TestDatabase
  readonly bus: Bus
  readonly proxy: CuttableProxy
  replica(options?: { settings?: Partial<Settings>; bus?: Bus; started?: boolean }): Promise<Replica>
  openBus(): Promise<Bus>
  /** Puts raw fields on the stream. */
  add(...fields: Record<string, string>[]): Promise<string[]>
  /** Signs and sends events (or event texts). */
  send(...events: (AuditEvent | string)[]): Promise<string[]>
  stored(zoneId: string): Promise<number>
  waitStored(zoneId: string, count: number, timeoutMs?: number): Promise<void>
  deadLetters(): Promise<StreamEntry[]>
  pending(): Promise<number>
}

export function event(zoneId: string, overrides: Partial<AuditEvent> = {}): AuditEvent {
  return {
    id: uuidv7(),
    zone_id: zoneId,
    event_type: 'token_exchange',
    request_id: 'req-1',
    decision: 'allow',
    evaluation_status: 'complete',
    determining_policies_json: [],
    diagnostics_json: [],
    occurred_at: new Date().toISOString(),
    ...overrides,
  }
}

export const signed = (data: string): Record<string, string> => ({ data, sig: hmacHex(secret, data) })

export async function openScene(driver: 'redis' | 'postgres'): Promise<Scene> {
  const database = await createTestDatabase()
  const proxy = await createCuttableProxy(addressOf(database.connection))
  const connection = through(database.connection, proxy)
  const redis = driver === 'redis' ? await openRedisServer() : null
  const owned: AsyncDisposable[] = []

  const openBus = async (): Promise<Bus> => {
    const bus =
      redis === null
        ? createPostgresBus({ db: database.db, log, pollMs: 50 })
        : createRedisBus({
            url: `redis://${redis.host}:${redis.port}${redis.path}`,
            log,
            settings: { REDIS_DIAL_TIMEOUT: 2000, REDIS_READ_TIMEOUT: 3000 },
          })
    if (redis !== null) await bus.ping()
    owned.push(bus)
    return bus
  }
  const bus = await openBus()

  const add: Scene['add'] = async (...fields) => {
    const outcomes = await bus.publish(fields.map((one) => ({ stream, fields: one })))
    return outcomes.map((outcome) => {
      if (!outcome.ok) throw new Error(outcome.message)
      return outcome.id
    })
  }
  const stored: Scene['stored'] = async (zoneId) => {
    const [row] = await database.admin<{ n: number }[]>`
      select count(*)::int as n from audit_events where zone_id = ${zoneId}`
    return row?.n ?? 0
  }

  return {
    database,
    bus,
    proxy,
    openBus,
    add,
    send: (...events) =>
      add(...events.map((one) => signed(typeof one === 'string' ? one : JSON.stringify(one)))),
    stored,
    async waitStored(zoneId, count, timeoutMs = 10_000) {
      await eventually(async () => (await stored(zoneId)) === count, { timeoutMs })
    },
    deadLetters: () => bus.range(deadLetterStream, '-', 1000),
    pending: async () => (await bus.group(stream, 'audit-ingestor').stats()).pending,
    async replica({ settings, bus: ownBus, started = true } = {}) {
      const db = await database.open({ connection })
      const deps: AuditDeps = {
        settings: testSettings({ ...published, ...settings }),
        db,
        bus: ownBus ?? bus,
        keys,
        log,
        metrics: createRegistry(),
      }
      const role = createAudit(deps)
      if (started) await role.prepare(new AbortController().signal)
      let disposed = false
      const replica: Replica = {
        role,
        db,
        deps,
        async run(name) {
          const job = role.jobs.find((one) => one.name === name)
          if (job === undefined) throw new Error(`no job ${name}`)
          await job.run({ signal: new AbortController().signal })
        },
        get: async (path, bearer = 't') =>
          role.app.request(path, bearer === null ? {} : { headers: { authorization: `Bearer ${bearer}` } }),
        async [Symbol.asyncDispose]() {
          if (disposed) return
          disposed = true
          await role[Symbol.asyncDispose]()
          await db[Symbol.asyncDispose]()
        },
      }
      owned.push(replica)
      return replica
    },
    async [Symbol.asyncDispose]() {
      for (const one of owned.reverse()) await one[Symbol.asyncDispose]()
      await proxy[Symbol.asyncDispose]()
      await redis?.[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}

/** Where a Postgres listens, for the door in front of it. */
export function addressOf(target: ConnectionTarget): NetConnectOpts {
  if (typeof target === 'string') {
    const url = new URL(target)
    return { host: url.hostname, port: Number(url.port || 5432) }
  }
  return target.host.startsWith('/')
    ? { path: `${target.host}/.s.PGSQL.${target.port}` }
    : { host: target.host, port: target.port }
}

function through(target: ConnectionTarget, proxy: CuttableProxy): ConnectionTarget {
  if (typeof target === 'string') {
    const url = new URL(target)
    url.hostname = '127.0.0.1'
    url.port = String(proxy.port)
    return url.href
  }
  const { path: _path, ...rest } = target as typeof target & { path?: string }
  return { ...rest, host: '127.0.0.1', port: proxy.port }
}
