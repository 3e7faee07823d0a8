/** A coordinator on a real database, with a real zone key and mandates signed by it. */
import { type Logger, pino } from 'pino'
import type { Settings } from '../../../src/config/env.ts'
import type { Bus } from '../../../src/platform/bus/port.ts'
import { createPostgresBus } from '../../../src/platform/bus/postgres.ts'
import { createRedisBus } from '../../../src/platform/bus/redis.ts'
import { createCredentialHasher, loadCredentialKey } from '../../../src/platform/crypto/credentials.ts'
import { createEnvelopeCipher } from '../../../src/platform/crypto/envelope.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import { columnAad } from '../../../src/platform/crypto/secret-store.ts'
import type { Database } from '../../../src/platform/db/port.ts'
import type { Ephemera } from '../../../src/platform/ephemera/port.ts'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { createRedisEphemera } from '../../../src/platform/ephemera/redis.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { createSigner } from '../../../src/platform/jose/compact.ts'
import { generateSigningKeyPem, openSigningKey, publicJwk } from '../../../src/platform/jose/zone-key.ts'
import { createRegistry } from '../../../src/platform/observe/metrics.ts'
import { createOutbox, type RunningOutbox } from '../../../src/platform/outbox/outbox.ts'
import type { Role } from '../../../src/platform/role.ts'
import { createCoordinator } from '../../../src/roles/coordinator/index.ts'
import type { Sts } from '../../../src/roles/sts/port.ts'
import { insertKey } from '../../../src/roles/sts/store/signing-keys.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import { testKeys, testSettings } from '../../fixtures/settings.ts'
import { joinDeployment, remoteRole, variablesOf } from '../../fixtures/shared-deployment.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import {
  type SeededApplication,
  type SeededZone,
  seedApplication,
  seedAuthorityRecord,
  seedZone,
} from '../../fixtures/zone.ts'

export interface Reply {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: answers are read member by member.
  readonly body: Record<string, any>
  readonly headers: Headers
}

export interface CallOptions {
  readonly bearer?: string
  readonly json?: unknown
  /** Sent as it is, with a JSON content type. */
  readonly text?: string
  readonly headers?: Record<string, string>
}

/** One process of the role. */
interface Instance {
  readonly role: Role
  readonly db: Database
  readonly outbox: RunningOutbox
  call(method: string, path: string, options?: CallOptions): Promise<Reply>
  /** One iteration of a background worker. */
  run(job: string): Promise<void>
}

export interface Stage extends Instance, AsyncDisposable {
  readonly store: TestDatabase
  readonly settings: Settings
  readonly zone: SeededZone
  readonly bus: Bus
  readonly log: Logger
  readonly issuer: string
  /** Where the replicas of a deployment answer; `null` in one process. */
  readonly url: string | null
  /** `/zones/<zone>` + `rest`. */
  at(rest: string): string
  /** A session mandate of the zone's application, standing on a record of its own. */
  mandate(claims?: Record<string, unknown>): Promise<string>
  /** A session mandate of any application of the zone. */
  mandateOf(applicationId: string, claims?: Record<string, unknown>): Promise<string>
  sign(claims: Record<string, unknown>): string
  /** How often the zone's keys were read. */
  keyReads(): number
  application(options?: Parameters<typeof seedApplication>[3]): Promise<SeededApplication>
  /** Another process over the same database; what it must not share is replaced. */
  peer(replaced?: Partial<Parts>): Promise<Instance>
}

interface Parts {
  readonly settings: Settings
  readonly bus: Bus
  readonly ephemera: Ephemera
  /** Where the zone's keys come from, where they are not to be had. */
  readonly zoneKeys?: Sts['zoneKeys']
}

const operatorBearer = 'test-coordinator-token'

/** Without limits on requests unless a test sets them. */
const unlimited = {
  COORDINATOR_RATE_LIMIT_PER_MIN: 0,
  INVOCATION_RATE_LIMIT_PER_MIN: 0,
  VERIFY_RATE_LIMIT_PER_MIN: 0,
  READY_RATE_LIMIT_PER_MIN: 0,
} satisfies Partial<Settings>

/** `dispatched`: events leave by the dispatcher, as where the bus is another store. */
export interface StageOptions {
  readonly dispatched?: boolean
}

export async function createStage(
  overrides: Partial<Settings> = {},
  { dispatched = false }: StageOptions = {},
): Promise<Stage> {
  const joined = inOneProcess ? null : await joinDeployment(variablesOf({ ...unlimited, ...overrides }))
  const store = joined?.database ?? (await createTestDatabase())
  const settings = testSettings({
    ...unlimited,
    ...(joined === null ? {} : { ISSUER_URL: joined.env.ISSUER_URL ?? '' }),
    ...overrides,
  })
  const log = pino({ level: 'silent' })
  const owned: AsyncDisposable[] = [joined ?? store]
  const { store: together, ...apart } =
    joined === null
      ? createPostgresBus({ db: store.db, log })
      : createRedisBus({ url: joined.redisUrl, log, settings })
  const bus: Bus = dispatched || together === undefined ? apart : { ...apart, store: together }
  const cipher = createEnvelopeCipher({ kek: Buffer.from(testKeys.SECRET_STORE_KEK, 'hex') })
  const hasher = createCredentialHasher({
    credentialKey: await loadCredentialKey(store.db, cipher),
    concurrency: 1,
  })
  const zone = await seedZone(store.db, hasher, {
    scopes: ['nucleus:pay', 'nucleus:read'],
    operations: [],
    operationEnforcement: 'transport_uniform',
  })
  const pem = generateSigningKeyPem()
  const key = openSigningKey(pem)
  const kid = uuidv7()
  if (joined !== null) {
    // The replicas ask the STS for the zone's keys.
    const envelope = cipher.seal(Buffer.from(pem, 'utf8'), columnAad.zoneSigningKey)
    await insertKey(store.db, { id: kid, zoneId: zone.zoneId, envelope, aheadMs: 0 })
  }
  const signer = createSigner(kid, key)
  const issuer = settings.ISSUER_URL ?? ''
  let keyReads = 0

  async function open(db: Database, parts: Parts): Promise<Instance> {
    const keys = keyRing(parts.settings)
    const outbox = createOutbox({ db, bus: parts.bus, keys, settings: parts.settings, log })
    const role = createCoordinator({
      ...parts,
      db,
      outbox,
      keys,
      log,
      metrics: createRegistry(),
      sts: {
        zoneKeys:
          parts.zoneKeys ??
          (async () => {
            keyReads += 1
            return [publicJwk(kid, key)]
          }),
      },
    })
    owned.push(outbox, role)
    return {
      role,
      db,
      outbox,
      call: (method, path, options = {}) => call(role, method, path, options),
      async run(name) {
        const job = role.jobs.find((candidate) => candidate.name === name)
        if (job === undefined) throw new Error(`no job ${name}`)
        await job.run(jobContext())
      },
    }
  }

  const ephemera =
    joined === null
      ? createPostgresEphemera({ db: store.db, log })
      : createRedisEphemera({ url: joined.redisUrl, db: store.db, log, settings })
  owned.push(bus, ephemera)
  const here = await open(store.db, { settings, bus, ephemera })
  /** Requests go to whichever replica is next; this process is one more, for a worker's turn at a test's word. */
  const instance = joined === null ? here : { ...here, ...answering(joined.urls.coordinator) }

  async function mandateOf(applicationId: string, claims: Record<string, unknown> = {}): Promise<string> {
    const sid = await seedAuthorityRecord(store.db, zone.zoneId, {
      subjectId: applicationId,
      lifetimeSeconds: 3600,
    })
    const now = Math.floor(Date.now() / 1000)
    return signer.sign({
      iss: issuer,
      aud: [issuer],
      sub: applicationId,
      client_id: applicationId,
      zone_id: zone.zoneId,
      use: 'session',
      sub_type: 'application',
      scope: 'agent:lifecycle',
      sid,
      root_sid: sid,
      jti: uuidv7(),
      iat: now,
      exp: now + 900,
      ...claims,
    })
  }

  return {
    ...instance,
    store,
    settings,
    zone,
    bus,
    log,
    issuer,
    url: joined?.urls.coordinator ?? null,
    at: (rest) => `/zones/${zone.zoneId}${rest}`,
    mandate: (claims) => mandateOf(zone.application.id, claims),
    mandateOf,
    sign: (claims) => signer.sign(claims),
    keyReads: () => keyReads,
    application: (options) => seedApplication(store.db, hasher, zone.zoneId, options),
    async peer(replaced) {
      if (joined !== null && replaced === undefined) return instance
      const db = await store.open()
      owned.push(db)
      return open(db, { settings, bus, ephemera, ...replaced })
    },
    async [Symbol.asyncDispose]() {
      for (const one of owned.reverse()) await one[Symbol.asyncDispose]()
    },
  }
}

function answering(url: string): Pick<Instance, 'role' | 'call'> {
  const role = remoteRole<Role>(url)
  return { role, call: (method, path, options = {}) => call(role, method, path, options) }
}

async function call(role: Role, method: string, path: string, options: CallOptions): Promise<Reply> {
  const headers = new Headers(options.headers)
  if (options.bearer !== undefined) headers.set('authorization', `Bearer ${options.bearer}`)
  const given = options.text ?? (options.json === undefined ? null : JSON.stringify(options.json))
  const body = method === 'GET' ? null : given
  if (body !== null) headers.set('content-type', 'application/json')
  const response = await role.app.request(path, { method, headers, body })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') ?? false
  return {
    status: response.status,
    body: isJson ? (JSON.parse(text) as Record<string, unknown>) : { text },
    headers: response.headers,
  }
}

export { operatorBearer }
