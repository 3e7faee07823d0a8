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
import { sharedSettings } from '../../fixtures/deployment.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import { testKeys, testSettings } from '../../fixtures/settings.ts'
import { joinDeployment, remoteRole } from '../../fixtures/shared-deployment.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { type CuttableProxy, createCuttableProxy } from '../../platform/bus/cuttable-proxy.ts'
import { openRedisServer } from '../../platform/bus/redis-server.ts'

const secret = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
export const hmac = { current: secret, accepted: [secret] }
const keys = { audit: hmac, streams: hmac, gatewaySts: hmac, idempotency: hmac }
const log = pino({ level: process.env.TEST_LOG ?? 'silent' })
export const stream = 'caracal.audit.events'
export const deadLetterStream = 'caracal.audit.events.dlq'

const ownToken = 't'
/** What opens the operator routes of a ledger. */
export const operatorToken = inOneProcess ? ownToken : sharedSettings.AUDIT_ADMIN_TOKEN

const published: Partial<Settings> = {
  CARACAL_MODE: 'stable',
  AUDIT_ADMIN_TOKEN: ownToken,
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
            settings: redisTimes,
          })
    if (redis !== null) await bus.ping()
    owned.push(bus)
    return bus
  }
  const bus = await openBus()

  const add: Scene['add'] = (...fields) => addTo(bus, fields)

  return {
    database,
    bus,
    proxy,
    openBus,
    add,
    send: (...events) => add(...events.map(textOf).map(signed)),
    stored: (zoneId) => storedIn(database, zoneId),
    waitStored: (zoneId, count, timeoutMs) => untilStored(database, zoneId, count, timeoutMs),
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
          await job.run(jobContext({ log }))
        },
        get: async (path, bearer = ownToken) => role.app.request(path, bearing(bearer)),
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

/** What a deployment offers as well as a scene of its own: events go in on the bus and are read over HTTP. */
export interface Ledger extends AsyncDisposable, Pick<Scene, 'send' | 'stored' | 'waitStored'> {
  readonly app: Pick<Role['app'], 'request'>
  get(path: string, bearer?: string | null): Promise<Response>
}

/** Over the deployment of the run when there is one: what asks has no say in which replica ingests or answers. */
export async function openLedger(driver: 'redis' | 'postgres'): Promise<Ledger> {
  return inOneProcess ? ledgerOf(await openScene(driver)) : joinLedger()
}

async function ledgerOf(scene: Scene): Promise<Ledger> {
  const { role, get } = await scene.replica()
  return { ...scene, app: role.app, get }
}

async function joinLedger(): Promise<Ledger> {
  const joined = await joinDeployment({ AUDIT_ADMIN_TOKEN: sharedSettings.AUDIT_ADMIN_TOKEN })
  const { database } = joined
  const bus = createRedisBus({ url: joined.redisUrl, log, settings: redisTimes })
  const { app } = remoteRole<Role>(joined.urls.audit)
  const key = Buffer.from(testKeys.AUDIT_HMAC_KEY, 'hex')
  return {
    app,
    send: (...events) =>
      addTo(
        bus,
        events.map(textOf).map((data) => ({ data, sig: hmacHex(key, data) })),
      ),
    stored: (zoneId) => storedIn(database, zoneId),
    waitStored: (zoneId, count, timeoutMs) => untilStored(database, zoneId, count, timeoutMs),
    get: async (path, bearer = operatorToken) => app.request(path, bearing(bearer)),
    async [Symbol.asyncDispose]() {
      await bus[Symbol.asyncDispose]()
      await joined[Symbol.asyncDispose]()
    },
  }
}

const redisTimes = { REDIS_DIAL_TIMEOUT: 2000, REDIS_READ_TIMEOUT: 3000 }
const textOf = (one: AuditEvent | string): string => (typeof one === 'string' ? one : JSON.stringify(one))
const bearing = (bearer: string | null): RequestInit =>
  bearer === null ? {} : { headers: { authorization: `Bearer ${bearer}` } }

async function addTo(bus: Bus, fields: readonly Record<string, string>[]): Promise<string[]> {
  const outcomes = await bus.publish(fields.map((one) => ({ stream, fields: one })))
  return outcomes.map((outcome) => {
    if (!outcome.ok) throw new Error(outcome.message)
    return outcome.id
  })
}

async function storedIn(database: TestDatabase, zoneId: string): Promise<number> {
  const [row] = await database.admin<{ n: number }[]>`
    select count(*)::int as n from audit_events where zone_id = ${zoneId}`
  return row?.n ?? 0
}

async function untilStored(
  database: TestDatabase,
  zoneId: string,
  count: number,
  timeoutMs = 10_000,
): Promise<void> {
  await eventually(async () => (await storedIn(database, zoneId)) === count, { timeoutMs })
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
