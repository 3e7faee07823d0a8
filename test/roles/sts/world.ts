/**
 * One STS over a database of its own, with the real bus, ephemera, outbox and audit
 * sink, and helpers that speak to it as clients do.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { Registry } from 'prom-client'
import type { Settings } from '../../../src/config/env.ts'
import type { Bus } from '../../../src/platform/bus/port.ts'
import { createPostgresBus } from '../../../src/platform/bus/postgres.ts'
import { createRedisBus } from '../../../src/platform/bus/redis.ts'
import { createCredentialHasher, loadCredentialKey } from '../../../src/platform/crypto/credentials.ts'
import { createEnvelopeCipher } from '../../../src/platform/crypto/envelope.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import type { CredentialHasher, EnvelopeCipher } from '../../../src/platform/crypto/port.ts'
import type { Database } from '../../../src/platform/db/port.ts'
import type { EgressGuard } from '../../../src/platform/egress/guarded-fetch.ts'
import type { Ephemera } from '../../../src/platform/ephemera/port.ts'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { createRedisEphemera } from '../../../src/platform/ephemera/redis.ts'
import { parseCompact } from '../../../src/platform/jose/compact.ts'
import { createOutbox } from '../../../src/platform/outbox/outbox.ts'
import { createAuditSink } from '../../../src/roles/audit/index.ts'
import { signGatewayRequest } from '../../../src/roles/sts/gateway-signature.ts'
import { createSts, type StsRole } from '../../../src/roles/sts/index.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { testKeys, testSettings } from '../../fixtures/settings.ts'
import { type Joined, joinDeployment, sharedIssuer, variablesOf } from '../../fixtures/shared-deployment.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { type SeededDelegation, type SeededZone, seedDelegation, seedZone } from '../../fixtures/zone.ts'
import { remoteSts } from './remote-sts.ts'

export const issuer = inOneProcess ? 'http://localhost:8080' : await sharedIssuer()
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'

export interface World extends AsyncDisposable {
  readonly database: TestDatabase
  readonly db: Database
  readonly bus: Bus
  /** `null` in one process. */
  readonly deployed: Pick<Joined, 'urls' | 'replicas'> | null
  /** Where the streams were when this world began. */
  readonly since: string
  readonly ephemera: Ephemera
  readonly settings: Settings
  readonly hasher: CredentialHasher
  readonly cipher: EnvelopeCipher
  readonly sts: StsRole
  /** Every replica that `sts` may be, each by itself. */
  readonly each: readonly StsRole[]
  readonly zone: SeededZone
  /** The pools under bus and ephemera; the store's own unless `separateStores`. */
  readonly busDb: Database
  readonly ephemeraDb: Database
  /** One sub-directory per replica, named by its number. */
  readonly journalDirectory: string
  /** A second STS on the same store, as another replica would be. */
  replica(overrides?: Partial<Settings>): Promise<StsRole>
}

export interface WorldOptions {
  /** Bus and ephemera get pools of their own, so that a test can take one of them away. */
  readonly separateStores?: boolean
  /** Bus and ephemera on Redis instead of Postgres. */
  readonly redisUrl?: string
}

export async function createWorld(
  overrides: Partial<Settings> = {},
  egress?: EgressGuard,
  options: WorldOptions = {},
): Promise<World> {
  return inOneProcess ? createHere(overrides, egress, options) : joinWorld(overrides)
}

async function createHere(
  overrides: Partial<Settings>,
  egress: EgressGuard | undefined,
  options: WorldOptions,
): Promise<World> {
  const database = await createTestDatabase()
  const { db } = database
  const settings = testSettings({ ISSUER_URL: issuer, ...overrides })
  const cipher = createEnvelopeCipher({ kek: Buffer.from(testKeys.SECRET_STORE_KEK, 'hex') })
  const hasher = createCredentialHasher({
    credentialKey: await loadCredentialKey(db, cipher),
    concurrency: 2,
  })
  const log = pino({ level: process.env.TEST_LOG ?? 'silent' })
  const keys = keyRing(settings)
  const busDb = options.separateStores === true ? await database.open() : db
  const ephemeraDb = options.separateStores === true ? await database.open() : db
  const { redisUrl: url } = options
  const bus =
    url === undefined
      ? createPostgresBus({ db: busDb, log, pollMs: 100 })
      : createRedisBus({ url, log, settings })
  const ephemera =
    url === undefined
      ? createPostgresEphemera({ db: ephemeraDb, log })
      : createRedisEphemera({ url, db, log, settings })
  const outbox = createOutbox({ db, bus, keys, settings, log })
  const directory = await mkdtemp(join(tmpdir(), 'caracal-sts-'))
  const roles: StsRole[] = []

  async function start(own: Settings): Promise<StsRole> {
    const metrics = new Registry()
    const audit = createAuditSink({
      bus,
      keys,
      directory: join(directory, String(roles.length)),
      log,
      metrics,
      metricPrefix: 'caracal_sts',
    })
    const sts = createSts({
      db,
      bus,
      ephemera,
      outbox,
      keys,
      hasher,
      cipher,
      log,
      metrics,
      settings: own,
      audit,
      ...(egress === undefined ? {} : { egress }),
    })
    roles.push(sts)
    await sts.prepare(new AbortController().signal)
    return sts
  }

  const sts = await start(settings)
  const zone = await seedZone(db, hasher)
  return {
    database,
    db,
    bus,
    deployed: null,
    since: '-',
    ephemera,
    settings,
    hasher,
    cipher,
    sts,
    each: [sts],
    zone,
    busDb,
    ephemeraDb,
    journalDirectory: directory,
    replica: (own = {}) => start({ ...settings, ...own }),
    async [Symbol.asyncDispose]() {
      for (const role of roles) await role[Symbol.asyncDispose]()
      await outbox[Symbol.asyncDispose]()
      await ephemera[Symbol.asyncDispose]()
      await bus[Symbol.asyncDispose]()
      await busDb[Symbol.asyncDispose]()
      await ephemeraDb[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** The same over a deployment: its STS is whichever replica answers, its Redis carries bus and ephemera. */
async function joinWorld(overrides: Partial<Settings>): Promise<World> {
  const env = variablesOf(overrides)
  const joined = await joinDeployment(Object.keys(env).length === 0 ? {} : { ISSUER_URL: issuer, ...env })
  const { database, redisUrl: url } = joined
  const { db } = database
  const settings = testSettings({ ISSUER_URL: issuer, ...overrides })
  const log = pino({ level: process.env.TEST_LOG ?? 'silent' })
  const cipher = createEnvelopeCipher({ kek: Buffer.from(testKeys.SECRET_STORE_KEK, 'hex') })
  const hasher = createCredentialHasher({
    credentialKey: await loadCredentialKey(db, cipher),
    concurrency: 2,
  })
  const bus = createRedisBus({ url, log, settings })
  const ephemera = createRedisEphemera({ url, db, log, settings })
  const sts = remoteSts(joined.urls.sts)
  const each = joined.replicas.sts.map(remoteSts)
  const clients: AsyncDisposable[] = [sts, ...each]
  return {
    database,
    db,
    bus,
    deployed: joined,
    since: `${Date.now()}-0`,
    ephemera,
    settings,
    hasher,
    cipher,
    sts,
    each,
    zone: await seedZone(db, hasher),
    busDb: db,
    ephemeraDb: db,
    journalDirectory: '',
    async replica(own) {
      // Without settings of its own it is one of those that answer anyway.
      const url = own === undefined ? joined.urls.sts : await joined.process('sts', variablesOf(own))
      const replica = remoteSts(url)
      clients.push(replica)
      return replica
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client[Symbol.asyncDispose]()
      await ephemera[Symbol.asyncDispose]()
      await bus[Symbol.asyncDispose]()
      await joined[Symbol.asyncDispose]()
    },
  }
}

export type Fields = Readonly<Record<string, string | readonly string[] | undefined>>

export function encodeForm(fields: Fields): string {
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    for (const one of typeof value === 'string' ? [value] : value) form.append(name, one)
  }
  return form.toString()
}

export interface TokenAnswer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever the wire carried
  readonly body: any
}

export async function postForm(
  sts: StsRole,
  path: string,
  fields: Fields | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<TokenAnswer> {
  const response = await sts.app.request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: typeof fields === 'string' ? fields : encodeForm(fields),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? null : JSON.parse(text),
  }
}

/** T(…) of sts §18: the zone's application with its secret, unless a field says otherwise. */
export function token(
  world: Pick<World, 'sts' | 'zone'>,
  fields: Fields = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<TokenAnswer> {
  return postForm(world.sts, '/oauth/2/token', tokenFields(world, fields), headers)
}

export function tokenFields(world: Pick<World, 'zone'>, fields: Fields = {}): Fields {
  return {
    grant_type: exchangeGrant,
    zone_id: world.zone.zoneId,
    application_id: world.zone.application.id,
    client_secret: world.zone.application.secret,
    resource: world.zone.resource.identifier,
    ...fields,
  }
}

/** Claims without verification: what a test wants to look at. */
export function claimsOf(accessToken: string): Record<string, unknown> {
  const jws = parseCompact(accessToken)
  if (jws === null) throw new Error('not a mandate')
  return { ...jws.claims }
}

export interface AuditEntry {
  readonly zone_id: string
  readonly event_type: string
  readonly request_id: string
  readonly decision: string
  readonly evaluation_status: string
  readonly determining_policies_json: readonly Record<string, unknown>[]
  readonly diagnostics_json: readonly Record<string, unknown>[]
  readonly metadata_json: Record<string, unknown>
}

/** The first event of a request with this evaluation status; denials reach the bus after their answer. */
export function auditEvent(
  world: Pick<World, 'bus' | 'since'>,
  requestId: string,
  status: string,
): Promise<AuditEntry> {
  return eventually(async () => {
    const events = await auditEvents(world, requestId)
    return events.find((event) => event.evaluation_status === status) ?? null
  })
}

/** Audit events on the bus, oldest first, of one request when its id is given. */
export async function auditEvents(
  world: Pick<World, 'bus' | 'since'>,
  requestId?: string,
): Promise<AuditEntry[]> {
  const entries = await world.bus.range('caracal.audit.events', world.since, 10_000)
  const events = entries.map((entry) => JSON.parse(entry.fields.data ?? '{}') as AuditEntry)
  return requestId === undefined ? events : events.filter((event) => event.request_id === requestId)
}

export interface GatewayCall {
  readonly resource?: string
  readonly method?: string
  readonly path?: string
  readonly requestId?: string
  /** Unix seconds. */
  readonly timestamp?: number
  readonly nonce?: string
  readonly fields?: Fields
  /** Changes the body after it was signed. */
  readonly tamper?: (body: string) => string
  /** Removes or replaces headers after signing; `null` removes. */
  readonly headers?: Readonly<Record<string, string | null>>
}

/** The exchange of gateway §9 over HTTP, signed as a gateway signs it. */
export function gatewayExchange(
  world: Pick<World, 'sts' | 'zone' | 'settings'>,
  mandate: string,
  call: GatewayCall = {},
): Promise<TokenAnswer> {
  const requestId = call.requestId ?? crypto.randomUUID()
  const body = encodeForm({
    grant_type: exchangeGrant,
    zone_id: world.zone.zoneId,
    application_id: world.zone.application.id,
    subject_token: mandate,
    subject_token_type: accessTokenType,
    resource: call.resource ?? world.zone.resource.identifier,
    request_method: call.method ?? 'POST',
    request_path: call.path ?? '/pay',
    gateway_request_id: requestId,
    ...call.fields,
  })
  const timestamp = String(call.timestamp ?? Math.floor(Date.now() / 1000))
  const nonce = call.nonce ?? randomBytes(32).toString('hex')
  const key = Buffer.from(world.settings.GATEWAY_STS_HMAC_KEY ?? '', 'hex')
  const parts = { timestamp, nonce, method: 'POST', path: '/oauth/2/token', body: Buffer.from(body) }
  const headers: Record<string, string> = {
    'x-request-id': requestId,
    'x-caracal-gateway-timestamp': timestamp,
    'x-caracal-gateway-request': nonce,
    'x-caracal-gateway-signature': signGatewayRequest(key, parts),
  }
  for (const [name, value] of Object.entries(call.headers ?? {})) {
    if (value === null) delete headers[name]
    else headers[name] = value
  }
  return postForm(world.sts, '/oauth/2/token', call.tamper?.(body) ?? body, headers)
}

/** A gateway mandate over a fresh delegation of the zone's application. */
export async function mintGatewayMandate(
  world: Pick<World, 'sts' | 'zone' | 'db'>,
  delegation?: SeededDelegation,
): Promise<{ readonly mandate: string; readonly delegation: SeededDelegation }> {
  const over = delegation ?? (await seedDelegation(world.db, world.zone))
  const answer = await token(world, delegatedFields(over))
  if (answer.status !== 200) throw new Error(`mint refused: ${JSON.stringify(answer.body)}`)
  return { mandate: answer.body.access_token, delegation: over }
}

export function delegatedFields(delegation: SeededDelegation): Fields {
  return {
    scope: 'nucleus:pay',
    agent_session_id: delegation.childSessionId,
    delegation_edge_id: delegation.edgeId,
  }
}
