/**
 * Control over a database of its own, with the real bus, ephemera, outbox, secret store
 * and STS, and a client that speaks to it as an administrator does.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino, { type Logger } from 'pino'
import { Registry } from 'prom-client'
import { createClient } from 'redis'
import type { Settings } from '../../../src/config/env.ts'
import type { Bus } from '../../../src/platform/bus/port.ts'
import { createPostgresBus } from '../../../src/platform/bus/postgres.ts'
import { createRedisBus } from '../../../src/platform/bus/redis.ts'
import { createCredentialHasher, loadCredentialKey } from '../../../src/platform/crypto/credentials.ts'
import { createEnvelopeCipher } from '../../../src/platform/crypto/envelope.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import type { CredentialHasher, SecretStore } from '../../../src/platform/crypto/port.ts'
import { createSecretStore } from '../../../src/platform/crypto/secret-store.ts'
import type { Database } from '../../../src/platform/db/port.ts'
import type { EgressGuard } from '../../../src/platform/egress/guarded-fetch.ts'
import type { Ephemera } from '../../../src/platform/ephemera/port.ts'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { createRedisEphemera } from '../../../src/platform/ephemera/redis.ts'
import { createJobRunner } from '../../../src/platform/jobs/runner.ts'
import type { KeyRing } from '../../../src/platform/keys.ts'
import { createOutbox } from '../../../src/platform/outbox/outbox.ts'
import type { Role } from '../../../src/platform/role.ts'
import { createAuditSink } from '../../../src/roles/audit/index.ts'
import type { SocialEndpoints } from '../../../src/roles/control/console/social/endpoints.ts'
import { type ControlRole, createControl } from '../../../src/roles/control/index.ts'
import { createCoordinator } from '../../../src/roles/coordinator/index.ts'
import { createSts, type StsRole } from '../../../src/roles/sts/index.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { testKeys, testSettings } from '../../fixtures/settings.ts'
import { joinDeployment, remoteRole, variablesOf } from '../../fixtures/shared-deployment.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { remoteSts } from '../sts/remote-sts.ts'

export const adminToken = testKeys.CARACAL_ADMIN_TOKEN

interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by tests of every shape
  readonly body: any
  readonly text: string
}

interface SendOptions {
  readonly token?: string | null
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as it is instead of as JSON. */
  readonly raw?: string
}

/** Whether a 429 names a wait of at most half a minute (control-api §2.1). */
export function tellsWhenToComeAgain({ headers }: Pick<Answer, 'headers'>): boolean {
  const seconds = Number(headers.get('retry-after'))
  return seconds >= 1 && seconds <= 30
}

export type Send = (method: string, path: string, body?: unknown, options?: SendOptions) => Promise<Answer>

export interface Stage extends AsyncDisposable {
  readonly database: TestDatabase
  readonly settings: Settings
  readonly bus: Bus
  readonly ephemera: Ephemera
  readonly hasher: CredentialHasher
  readonly control: ControlRole
  readonly sts: StsRole
  readonly coordinator: Role
  readonly keys: KeyRing
  readonly send: Send
  /** Asks the STS for a token as an application does. */
  exchange(form: Readonly<Record<string, string>>): Promise<Answer>
  /** Another control on the same store, as a restart or a replica would be. */
  replica(overrides?: Partial<Settings>): Promise<{ readonly control: ControlRole; readonly send: Send }>
  /** Failures and requests that were counted are forgotten. */
  forgetCounters(): Promise<void>
  /** A zone of its own for a test. */
  zone(name?: string): Promise<string>
}

export interface StageOptions {
  readonly settings?: Partial<Settings>
  /** For one process: those of a deployment reach `*.test.example` by themselves. */
  readonly egress?: EgressGuard
  /** Wraps the secret store, to make it fail. */
  readonly secrets?: (real: SecretStore) => SecretStore
  /** A built web console. */
  readonly consoleDirectory?: string
  /** Where Google and GitHub are. */
  readonly socialEndpoints?: SocialEndpoints
  /** Hears what the roles log. */
  readonly log?: Logger
  /** Another driver than the Postgres one. The stage ends it. */
  readonly ephemera?: (deps: { db: Database; log: Logger; settings: Settings }) => Ephemera
}

async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson && text !== '' ? JSON.parse(text) : text,
  }
}

function clientOf(role: Pick<ControlRole, 'app'>): Send {
  return async (method, path, body, options = {}) => {
    const headers: Record<string, string> = { ...options.headers }
    if (options.token !== null) headers.authorization = `Bearer ${options.token ?? adminToken}`
    const init: RequestInit = { method, headers }
    if (options.raw !== undefined || body !== undefined) {
      headers['content-type'] ??= 'application/json'
      init.body = options.raw ?? JSON.stringify(body)
    }
    return readAnswer(await role.app.request(path, init))
  }
}

export function createStage(options: StageOptions = {}): Promise<Stage> {
  return inOneProcess ? createHere(options) : joinStage(options)
}

/** The same over a deployment: each request goes to whichever replica is next. */
async function joinStage(options: StageOptions): Promise<Stage> {
  const replaced = [
    options.secrets,
    options.ephemera,
    options.consoleDirectory,
    options.socialEndpoints,
    options.log,
  ]
  if (replaced.some((one) => one !== undefined)) {
    throw new Error('a part of the product is replaced: the test is of a seam')
  }
  const joined = await joinDeployment(variablesOf(options.settings ?? {}))
  const { database } = joined
  const { db } = database
  const settings = testSettings({ ISSUER_URL: joined.env.ISSUER_URL ?? '', ...options.settings })
  const log = pino({ level: process.env.TEST_LOG ?? 'silent' })
  const cipher = createEnvelopeCipher({ kek: Buffer.from(testKeys.SECRET_STORE_KEK, 'hex') })
  const hasher = createCredentialHasher({
    credentialKey: await loadCredentialKey(db, cipher),
    concurrency: 2,
  })
  const bus = createRedisBus({ url: joined.redisUrl, log, settings })
  const ephemera = createRedisEphemera({ url: joined.redisUrl, db, log, settings })
  const control = remoteRole<ControlRole>(joined.urls.control)
  const send = clientOf(control)
  const sts = remoteSts(joined.urls.sts)
  let asked = 0
  return {
    database,
    settings,
    bus,
    ephemera,
    hasher,
    control,
    sts,
    send,
    async replica(overrides) {
      // Without settings of its own it is one of those that answer anyway, each in its turn.
      if (overrides === undefined) {
        const { control: urls } = joined.replicas
        const one = remoteRole<ControlRole>(urls[asked % urls.length] ?? '')
        asked += 1
        return { control: one, send: clientOf(one) }
      }
      const role = remoteRole<ControlRole>(await joined.process('control', variablesOf(overrides)))
      return { control: role, send: clientOf(role) }
    },
    coordinator: remoteRole<Role>(joined.urls.coordinator),
    keys: keyRing(settings),
    exchange: (form) => exchange(sts, form),
    forgetCounters: () => forgetCounters(joined.redisUrl),
    zone: (name) => createZone(send, name),
    async [Symbol.asyncDispose]() {
      await sts[Symbol.asyncDispose]()
      await ephemera[Symbol.asyncDispose]()
      await bus[Symbol.asyncDispose]()
      await joined[Symbol.asyncDispose]()
    },
  }
}

async function forgetCounters(url: string): Promise<void> {
  const client = await createClient({ url }).connect()
  try {
    // Those of control, at the address of every test that names no other.
    for (const counted of [
      'api:*:127.0.0.1',
      'api:*:127.0.0.1:*',
      'api:v1_rl:actor:*',
      'api:login_fail:*',
      'api:login_closed:*',
    ]) {
      const keys = await client.keys(counted)
      if (keys.length > 0) await client.del(keys)
    }
  } finally {
    client.destroy()
  }
}

async function exchange(sts: Pick<StsRole, 'app'>, form: Readonly<Record<string, string>>): Promise<Answer> {
  const body = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    ...form,
  }).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return readAnswer(await sts.app.request('/oauth/2/token', { method: 'POST', headers, body }))
}

async function createZone(send: Send, name = 'Test zone'): Promise<string> {
  const answer = await send('POST', '/v1/zones', { name })
  if (answer.status !== 201) throw new Error(`no zone: ${answer.text}`)
  return answer.body.id
}

async function createHere(options: StageOptions): Promise<Stage> {
  const database = await createTestDatabase()
  const { db } = database
  const settings = testSettings({
    ISSUER_URL: 'http://localhost:8080',
    API_V1_RATE_LIMIT_PER_MIN: 0,
    ...options.settings,
  })
  const cipher = createEnvelopeCipher({ kek: Buffer.from(testKeys.SECRET_STORE_KEK, 'hex') })
  const hasher = createCredentialHasher({
    credentialKey: await loadCredentialKey(db, cipher),
    concurrency: 2,
  })
  const log = options.log ?? pino({ level: process.env.TEST_LOG ?? 'silent' })
  const keys = keyRing(settings)
  const bus = createPostgresBus({ db, log, pollMs: 100 })
  const ephemera = options.ephemera?.({ db, log, settings }) ?? createPostgresEphemera({ db, log })
  const outbox = createOutbox({ db, bus, keys, settings, log })
  const secrets = createSecretStore({ cipher })
  const directory = await mkdtemp(join(tmpdir(), 'caracal-control-'))
  const jobs = createJobRunner({ log })
  jobs.start([outbox.job])
  const shared = { db, bus, ephemera, outbox, keys, hasher, cipher, log }
  const stsMetrics = new Registry()
  const sts = createSts({
    ...shared,
    settings,
    metrics: stsMetrics,
    audit: createAuditSink({ bus, keys, directory, log, metrics: stsMetrics, metricPrefix: 'caracal_sts' }),
  })
  await sts.prepare(new AbortController().signal)

  const coordinator = createCoordinator({ ...shared, settings, metrics: new Registry(), sts })
  const roles: ControlRole[] = []
  async function start(own: Settings): Promise<ControlRole> {
    const control = createControl({
      ...shared,
      settings: own,
      secrets: options.secrets?.(secrets) ?? secrets,
      metrics: new Registry(),
      sts,
      stsDoor: (request) => sts.app.fetch(request),
      coordinator: (request) => coordinator.app.fetch(request),
      ...(options.egress === undefined ? {} : { egress: options.egress }),
      ...(options.consoleDirectory === undefined ? {} : { consoleDirectory: options.consoleDirectory }),
      ...(options.socialEndpoints === undefined ? {} : { socialEndpoints: options.socialEndpoints }),
    })
    roles.push(control)
    await control.prepare(new AbortController().signal)
    return control
  }

  const control = await start(settings)
  const send = clientOf(control)
  return {
    database,
    settings,
    bus,
    ephemera,
    hasher,
    control,
    sts,
    coordinator,
    keys,
    send,
    exchange: (form) => exchange(sts, form),
    async replica(overrides = {}) {
      const role = await start({ ...settings, ...overrides })
      return { control: role, send: clientOf(role) }
    },
    async forgetCounters() {
      await database.admin`truncate ephemera`
    },
    zone: (name) => createZone(send, name),
    async [Symbol.asyncDispose]() {
      await jobs.stop()
      for (const role of roles) await role[Symbol.asyncDispose]()
      await coordinator[Symbol.asyncDispose]()
      await sts[Symbol.asyncDispose]()
      await outbox[Symbol.asyncDispose]()
      await ephemera[Symbol.asyncDispose]()
      await bus[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
