/** A coordinator on a real database, with a real zone key and mandates signed by it. */
import { pino } from 'pino'
import { createPostgresBus } from '../../../src/platform/bus/postgres.ts'
import { createCredentialHasher } from '../../../src/platform/crypto/credentials.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { createSigner } from '../../../src/platform/jose/compact.ts'
import { generateSigningKeyPem, openSigningKey, publicJwk } from '../../../src/platform/jose/zone-key.ts'
import { createRegistry } from '../../../src/platform/observe/metrics.ts'
import { createOutbox } from '../../../src/platform/outbox/outbox.ts'
import type { Role } from '../../../src/platform/role.ts'
import { createCoordinator } from '../../../src/roles/coordinator/index.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { testSettings } from '../../fixtures/settings.ts'
import { type SeededZone, seedZone } from '../../fixtures/zone.ts'

export interface Reply {
  readonly status: number
  readonly body: Record<string, unknown>
  readonly headers: Headers
}

export interface Stage extends AsyncDisposable {
  readonly store: TestDatabase
  readonly role: Role
  readonly zone: SeededZone
  readonly issuer: string
  /** A session mandate of the zone's application, standing on a record of its own. */
  mandate(claims?: Record<string, unknown>): Promise<string>
  sign(claims: Record<string, unknown>): string
  call(method: string, path: string, options?: CallOptions): Promise<Reply>
}

export interface CallOptions {
  readonly bearer?: string
  readonly json?: unknown
  readonly headers?: Record<string, string>
}

export async function createStage(overrides: Parameters<typeof testSettings>[0] = {}): Promise<Stage> {
  const store = await createTestDatabase()
  const settings = testSettings(overrides)
  const log = pino({ level: 'silent' })
  const bus = createPostgresBus({ db: store.db, log })
  const ephemera = createPostgresEphemera({ db: store.db, log })
  const keys = keyRing(settings)
  const outbox = createOutbox({ db: store.db, bus, keys, settings, log })
  const hasher = createCredentialHasher({ credentialKey: Buffer.alloc(32, 5), concurrency: 1 })
  const zone = await seedZone(store.db, hasher)
  const key = openSigningKey(generateSigningKeyPem())
  const kid = uuidv7()
  const signer = createSigner(kid, key)
  const issuer = settings.ISSUER_URL ?? ''
  const role = createCoordinator({
    settings,
    db: store.db,
    bus,
    ephemera,
    outbox,
    keys,
    hasher,
    log,
    metrics: createRegistry(),
    sts: { zoneKeys: async (zoneId) => (zoneId === zone.zoneId ? [publicJwk(kid, key)] : null) },
  })

  async function mandate(claims: Record<string, unknown> = {}): Promise<string> {
    const sid = uuidv7()
    const now = Math.floor(Date.now() / 1000)
    await store.db.sql`
      insert into authority_records (id, zone_id, session_type, subject_id, expires_at, authenticated_at)
      values (${sid}, ${zone.zoneId}, 'application', ${zone.application.id}, now() + interval '1 hour', now())`
    return signer.sign({
      iss: issuer,
      aud: [issuer],
      sub: zone.application.id,
      client_id: zone.application.id,
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
    store,
    role,
    zone,
    issuer,
    mandate,
    sign: (claims) => signer.sign(claims),
    async call(method, path, options = {}) {
      const headers = new Headers(options.headers)
      if (options.bearer !== undefined) headers.set('authorization', `Bearer ${options.bearer}`)
      if (options.json !== undefined) headers.set('content-type', 'application/json')
      const response = await role.app.request(path, {
        method,
        headers,
        body: options.json === undefined ? null : JSON.stringify(options.json),
      })
      const text = await response.text()
      const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
      return { status: response.status, body, headers: response.headers }
    },
    async [Symbol.asyncDispose]() {
      await role[Symbol.asyncDispose]()
      await outbox[Symbol.asyncDispose]()
      await ephemera[Symbol.asyncDispose]()
      await bus[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
    },
  }
}
