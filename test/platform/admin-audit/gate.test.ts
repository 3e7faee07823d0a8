import assert from 'node:assert'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { appendAdminAction } from '../../../src/platform/admin-audit/append.ts'
import { adminAuditGate, createAdminAudit } from '../../../src/platform/admin-audit/gate.ts'
import {
  type AdminAction,
  adminChainHmac,
  adminContentSha256,
} from '../../../src/platform/admin-audit/record.ts'
import { jsonBody } from '../../../src/platform/http/body.ts'
import { controlErrors } from '../../../src/platform/http/error-style.ts'
import { errorOf } from '../../../src/platform/http/errors/registry.ts'
import { createRoleApp } from '../../../src/platform/http/role-app.ts'
import { createLogger } from '../../../src/platform/observe/logger.ts'
import { createRegistry } from '../../../src/platform/observe/metrics.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

const key = { current: Buffer.from('0123456789abcdef'.repeat(4), 'hex'), accepted: [] }
const { log } = createLogger({
  level: 'fatal',
  env: 'test',
  version: '0',
  maxFieldBytes: 0,
  sampleDebug: 1,
  destination: { write: () => {} },
})

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database?.[Symbol.asyncDispose]())

function actionOf(zoneId: string | null, overrides: Partial<AdminAction> = {}): AdminAction {
  return {
    requestId: 'req-1',
    actor: { id: 'tok-1', name: 'bootstrap', scope: 'global' },
    action: 'POST /v1/zones',
    method: 'POST',
    path: '/v1/zones',
    zoneId,
    entityType: 'zones',
    entityId: zoneId,
    statusCode: 201,
    payload: { rls_zone_guc: '*', changed_fields: ['name', 'ä'], n: 1.5 },
    ...overrides,
  }
}

interface Link {
  readonly id: string
  readonly request_id: string
  readonly actor_id: string | null
  readonly actor_name: string
  readonly actor_scope: string
  readonly action: string
  readonly method: string
  readonly path: string
  readonly zone_id: string | null
  readonly entity_type: string | null
  readonly entity_id: string | null
  readonly status_code: number
  readonly payload_text: string | null
  readonly occurred_at: string
  readonly content_sha256: string
  readonly prev_content_sha256: string | null
  readonly chain_hmac: string | null
  readonly chain_seq: string
}

function chain(zoneId: string | null): Promise<Link[]> {
  return database.admin<Link[]>`
    select id, request_id, actor_id, actor_name, actor_scope, action, method, path, zone_id, entity_type, entity_id,
           status_code, payload_json::text as payload_text,
           to_char(occurred_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as occurred_at,
           content_sha256, prev_content_sha256, chain_hmac, chain_seq::text as chain_seq
    from admin_audit_events
    where zone_id is not distinct from ${zoneId}
    order by admin_audit_events.chain_seq`
}

/** Recomputes every link from the table alone. */
function expectIntact(links: readonly Link[]): void {
  let previous: string | null = null
  for (const [at, link] of links.entries()) {
    const content = adminContentSha256({
      id: link.id,
      requestId: link.request_id,
      actor:
        link.actor_id === null ? null : { id: link.actor_id, name: link.actor_name, scope: link.actor_scope },
      action: link.action,
      method: link.method,
      path: link.path,
      zoneId: link.zone_id,
      entityType: link.entity_type,
      entityId: link.entity_id,
      statusCode: link.status_code,
      payload: null,
      payloadText: link.payload_text,
      occurredAt: link.occurred_at,
    })
    expect(link.content_sha256).toBe(content)
    expect(link.prev_content_sha256).toBe(previous)
    expect(link.chain_seq).toBe(String(at + 1))
    expect(link.chain_hmac).toBe(adminChainHmac(key.current, content, previous))
    previous = content
  }
}

describe('append', () => {
  test('concurrent writers make one chain per zone that verifies from the table', async () => {
    const zones = ['zone-a', 'zone-b', null]
    await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        database.db.transaction((tx) =>
          appendAdminAction(tx, key, actionOf(zones[i % 3] as string | null, { requestId: `req-${i}` })),
        ),
      ),
    )
    for (const zone of zones) {
      const links = await chain(zone)
      expect(links).toHaveLength(10)
      expectIntact(links)
    }
  })

  test('a rolled-back transaction leaves no gap', async () => {
    await expect(
      database.db.transaction(async (tx) => {
        await appendAdminAction(tx, key, actionOf('zone-r'))
        throw new Error('rolled back')
      }),
    ).rejects.toThrow('rolled back')
    await database.db.transaction((tx) => appendAdminAction(tx, key, actionOf('zone-r')))
    expectIntact(await chain('zone-r'))
  })

  test('without a key the links are unsigned, NUL is stripped before hashing', async () => {
    await database.db.transaction((tx) =>
      appendAdminAction(
        tx,
        { current: null, accepted: [] },
        actionOf('zone-n', { path: '/v1/\0', payload: { 'k\0': 'v\0' } }),
      ),
    )
    const [link] = await chain('zone-n')
    expect(link).toMatchObject({ chain_hmac: null, path: '/v1/', payload_text: '{"k": "v"}' })
  })
})

describe('gate', () => {
  function surface(options: { readonly broken?: boolean } = {}) {
    const audit = createAdminAudit({ db: database.db, key, log })
    const written = options.broken
      ? { ...audit, record: () => Promise.reject(new Error('connection lost')) }
      : audit
    const { app } = createRoleApp({
      log,
      metrics: createRegistry(),
      errorStyle: controlErrors,
      requestIdRule: 'token',
      trustProxy: false,
      bodyLimitBytes: 10_000,
      operations: {
        mode: 'dev',
        metricsBearer: null,
        health: () => ({ status: 200, body: null }),
        ready: () => ({ status: 200, body: null }),
      },
    })
    app.use(
      '/v1/*',
      adminAuditGate({
        audit: written,
        errorStyle: controlErrors,
        rules: { collections: new Set(['zones', 'applications']) },
        actorOf: (c) =>
          c.req.header('authorization') ? { id: 'tok-1', name: 'bootstrap', scope: 'global' } : null,
        zoneOf: (c) => /^\/v1\/zones\/([^/]+)/.exec(c.req.path)?.[1] ?? null,
        payloadOf: () => ({ rls_mode: 'control_plane_wildcard', rls_zone_guc: '*' }),
        summarize: true,
      }),
      jsonBody(),
    )
    app.post('/v1/zones', (c) => c.json({ id: 'zone-created', name: 'x' }, 201))
    app.post('/v1/zones/:zoneId/applications', (c) => {
      const hostile = new Proxy({}, { ownKeys: () => assert.fail('nobody can read this') })
      c.set('jsonBody', { present: true, value: hostile })
      return c.json({ id: 'made' }, 201)
    })
    app.get('/v1/zones/:zoneId', (c) => c.json({}))
    app.patch('/v1/zones/:zoneId', () => {
      throw errorOf('zone_not_found')
    })
    return { app, audit }
  }
  const known = { authorization: 'Bearer x', 'content-type': 'application/json' }

  test('a create is recorded before the answer, under the id it returned', async () => {
    const { app, audit } = surface()
    const response = await app.request('/v1/zones?x=1', {
      method: 'POST',
      headers: { ...known, 'x-request-id': 'req-create' },
      body: '{"name":"top secret name"}',
    })
    expect(await response.json()).toEqual({ id: 'zone-created', name: 'x' })
    const links = await chain('zone-created')
    expect(links).toMatchObject([
      {
        request_id: 'req-create',
        action: 'POST /v1/zones',
        entity_type: 'zones',
        entity_id: 'zone-created',
        status_code: 201,
        payload_text:
          '{"rls_mode": "control_plane_wildcard", "change_kind": "create", "rls_zone_guc": "*", "changed_fields": ["name"]}',
      },
    ])
    expectIntact(links)
    await audit[Symbol.asyncDispose]()
  })

  test('no record, no answer: 500 audit_unavailable', async () => {
    const { app } = surface({ broken: true })
    const response = await app.request('/v1/zones', {
      method: 'POST',
      headers: { ...known, 'x-request-id': 'req-lost' },
      body: '{}',
    })
    expect(response.status).toBe(500)
    expect(response.headers.get('x-request-id')).toBe('req-lost')
    expect(await response.json()).toMatchObject({ error: 'audit_unavailable', requestId: 'req-lost' })
  })

  test('what cannot be summed up is recorded all the same', async () => {
    const { app } = surface()
    const made = await app.request('/v1/zones/zone-h/applications', {
      method: 'POST',
      headers: known,
      body: '{}',
    })
    expect(made.status).toBe(201)
    expect(await chain('zone-h')).toMatchObject([
      {
        action: 'POST /v1/zones/zone-h/applications',
        entity_id: 'made',
        payload_text: '{"rls_mode": "control_plane_wildcard", "rls_zone_guc": "*"}',
      },
    ])
  })

  test('a refusal of a known caller is recorded, of an unknown one is not, a read never', async () => {
    const { app, audit } = surface()
    expect(
      (await app.request('/v1/zones/zone-x', { method: 'PATCH', headers: known, body: '{}' })).status,
    ).toBe(404)
    await app.request('/v1/zones/zone-x', {
      method: 'PATCH',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    })
    await app.request('/v1/zones/zone-x', { headers: known })
    await audit[Symbol.asyncDispose]()
    const links = await chain('zone-x')
    expect(links).toMatchObject([{ action: 'PATCH /v1/zones/zone-x', status_code: 404, entity_id: 'zone-x' }])
    expect(links[0]?.payload_text).toBe('{"rls_mode": "control_plane_wildcard", "rls_zone_guc": "*"}')
  })

  test('what has not the form of an id names no zone and no object, and is recorded however long it is', async () => {
    const { app, audit } = surface()
    // Text that does not compress: an index would refuse it.
    const segment = Array.from({ length: 130 }, () => randomUUID()).join('')
    const path = `/v1/zones/${segment}`
    expect((await app.request(path, { method: 'PATCH', headers: known, body: '{}' })).status).toBe(404)
    await audit[Symbol.asyncDispose]()
    const rows = await database.admin`
      select zone_id, entity_type, entity_id from admin_audit_events where path = ${path}`
    expect(rows).toEqual([{ zone_id: null, entity_type: 'zones', entity_id: null }])
  })
})
