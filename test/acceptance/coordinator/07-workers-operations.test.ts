import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadSettings } from '../../../src/config/load.ts'
import type { Bus, Published } from '../../../src/platform/bus/port.ts'
import { entrySignature, verifyEntry } from '../../../src/platform/bus/signature.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import { createRedisEphemera } from '../../../src/platform/ephemera/redis.ts'
import { routeInventory } from '../../../src/platform/http/operation.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { createOutbox } from '../../../src/platform/outbox/outbox.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import { leftOfMinute } from '../../fixtures/minute.ts'
import { seam } from '../../fixtures/seam.ts'
import { testKeys } from '../../fixtures/settings.ts'
import { openScene, refusal, type Scene } from './scene.ts'

let z: Scene
beforeAll(async () => {
  z = await openScene({ METRICS_BEARER: 'scrape' })
})
afterAll(() => z[Symbol.asyncDispose]())

const never = new AbortController().signal

/** The real bus, with what comes of a publish decided by the test. */
const publishing = (bus: Bus, publish: Bus['publish'], ping = bus.ping): Bus =>
  Object.assign(Object.create(bus) as Bus, { publish, ping })

const outboxOver = (scene: Scene, bus: Bus) => {
  const { settings, store, log } = scene.stage
  return createOutbox({ db: store.db, bus, keys: keyRing(settings), settings, log })
}

interface Row {
  readonly id: string
  readonly status: string
  readonly attempts: number
}
const rowsOf = async (scene: Scene): Promise<Row[]> => [
  ...(await scene.stage.store.db.sql<Row[]>`
    select id, status, attempts from caracal_outbox order by created_at, id`),
]

describe('outbox (coordinator §18 W)', () => {
  seam('replaces the bus under one process')(
    'W1 W3 while the bus is away nothing is counted and nothing dies; then it arrives',
    async () => {
      await using scene = await openScene({}, { dispatched: true })
      const away = publishing(scene.stage.bus, async (entries) =>
        entries.map((): Published => ({ ok: false, reason: 'unavailable', message: 'away' })),
      )
      const gone = publishing(scene.stage.bus, away.publish, async () => {
        throw new Error('no answer')
      })
      const id = await scene.start()
      for (const bus of [away, gone]) {
        await using outbox = outboxOver(scene, bus)
        for (let tick = 0; tick < 12; tick += 1) await outbox.dispatcher.tick(jobContext())
      }
      const waiting = await rowsOf(scene)
      expect(waiting.length).toBeGreaterThan(0)
      for (const row of waiting) expect(row).toMatchObject({ status: 'pending', attempts: 0 })
      await scene.stage.outbox.dispatcher.tick(jobContext())
      const [entry] = await scene.stage.bus.range('caracal.agents.lifecycle', '-', 10)
      expect(entry?.fields).toMatchObject({ event: 'spawn', agent_session_id: id })
      expect(waiting.map((row) => row.id)).toContain(entry?.fields.outbox_id)
    },
  )

  seam('replaces the bus under one process')(
    'W2 W3 an event refused ten times is dead, is reported, and can be published again',
    async () => {
      await using scene = await openScene({}, { dispatched: true })
      const { db } = scene.stage.store
      await scene.start()
      const refusing = publishing(scene.stage.bus, async (entries) =>
        entries.map((): Published => ({ ok: false, reason: 'rejected', message: 'no' })),
      )
      await using outbox = outboxOver(scene, refusing)
      const delays: number[] = []
      for (let attempt = 1; attempt <= 10; attempt += 1) {
        await outbox.dispatcher.tick(jobContext())
        const [row] = await db.sql<{ delay: number }[]>`
        select max(extract(epoch from available_at - now()))::float8 as delay from caracal_outbox`
        delays.push(row?.delay ?? 0)
        await db.sql`update caracal_outbox set available_at = now()`
      }
      for (const [at, delay] of delays.slice(0, 9).entries()) {
        const base = Math.min(60, 2 ** (at + 1))
        expect(delay).toBeGreaterThan(base - 2)
        expect(delay).toBeLessThan(base * 1.3 + 1)
      }
      const rows = await rowsOf(scene)
      for (const row of rows) expect(row).toMatchObject({ status: 'dead', attempts: 10 })
      expect(await scene.stage.call('GET', '/ready')).toMatchObject({
        status: 503,
        body: { ok: false, error: 'outbox_dead', dependency: 'outbox' },
      })
      const requeue = (id: string, bearer = scene.op) =>
        scene.call('POST', `/outbox/${id}/requeue`, { bearer })
      const [first] = rows as [Row]
      expect(await requeue(first.id, scene.ta)).toMatchObject(refusal(403, 'coordinator_admin_required'))
      expect(await requeue('not-a-uuid')).toMatchObject(refusal(400, 'invalid_body'))
      for (const { id } of rows) {
        expect(await requeue(id)).toMatchObject({ status: 200, body: { id, status: 'pending' } })
      }
      expect(await requeue(first.id)).toMatchObject(refusal(404, 'dead_outbox_not_found'))
      await scene.stage.outbox.dispatcher.tick(jobContext())
      for (const row of await rowsOf(scene)) expect(row.status).toBe('published')
      expect((await scene.stage.call('GET', '/ready')).status).toBe(200)
    },
  )

  it('W4 entries are signed as §9 says', async () => {
    const key = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
    expect(entrySignature(key, 'audit:events', { action: 'transfer', amount: '100' })).toBe(
      'c06ccc579e026c31a97a04f203981b236a3c88041712e9b46242e8762da23d75',
    )
    await using scene = await openScene({}, { dispatched: true })
    await scene.start()
    await scene.stage.outbox.dispatcher.tick(jobContext())
    const keys = keyRing(scene.stage.settings)
    const [entry] = await scene.stage.bus.range('caracal.agents.lifecycle', '-', 1)
    expect(verifyEntry(keys.streams, 'caracal.agents.lifecycle', entry?.fields ?? {})).toBe(true)
    expect(verifyEntry(keys.streams, 'caracal.sessions.revoke', entry?.fields ?? {})).toBe(false)
  })

  seam('counts what a chosen process publishes')('W5 two replicas publish every row once', async () => {
    await using scene = await openScene({}, { dispatched: true })
    for (let each = 0; each < 20; each += 1) await scene.start()
    const { settings } = scene.stage
    const peer = await scene.stage.peer({ settings: { ...settings, WORKER_ID: 'another' } })
    await Promise.all([
      scene.stage.outbox.dispatcher.tick(jobContext()),
      peer.outbox.dispatcher.tick(jobContext()),
    ])
    const entries = await scene.stage.bus.range('caracal.agents.lifecycle', '-', 100)
    expect(entries).toHaveLength(20)
    expect(new Set(entries.map((entry) => entry.fields.outbox_id)).size).toBe(20)
  })

  seam('ends one process between two steps')(
    'a process that dies after publishing publishes again; who dedupes sees each event once',
    async () => {
      await using scene = await openScene({}, { dispatched: true })
      const ids = [await scene.start(), await scene.start()]
      await scene.call('DELETE', `/agents/${ids[0]}`)
      // Publishes for real, and is gone before it can write down that it did.
      const dying = publishing(scene.stage.bus, async (entries) => {
        await scene.stage.bus.publish(entries)
        throw new Error('killed')
      })
      {
        await using outbox = outboxOver(scene, dying)
        await expect(outbox.dispatcher.tick(jobContext())).rejects.toThrow('killed')
      }
      for (const row of await rowsOf(scene)) expect(row.status).toBe('pending')
      await scene.stage.store.db.sql`update caracal_outbox set locked_until = now() - interval '1 second'`
      await scene.stage.outbox.dispatcher.tick(jobContext())
      const entries = await scene.stage.bus.range('caracal.agents.lifecycle', '-', 100)
      expect(entries).toHaveLength(6)
      const seen = new Map(entries.map((entry) => [entry.fields.outbox_id, entry.fields]))
      expect([...seen.values()].map((fields) => `${fields.event} ${fields.agent_session_id}`).sort()).toEqual(
        [`spawn ${ids[0]}`, `spawn ${ids[1]}`, `terminate ${ids[0]}`].sort(),
      )
    },
  )
})

describe('workers and operations (coordinator §18 W)', () => {
  seam('reads the counters of the worker it ran')(
    'W6 retention deletes what is old and over, and nothing that waits',
    async () => {
      await using scene = await openScene()
      const db = scene.stage.store.db
      const [s1, s2] = [await scene.start(), await scene.start()]
      const [old, kept] = [await scene.delegate(s1, s2), await scene.delegate(s1, s2)]
      await db.sql`
      update delegation_edges set status = 'revoked', revoked_at = now() - interval '91 days' where id = ${old.id}`
      const parent = await scene.start({ labels: ['old', 'old', 'all'] })
      const child = await scene.start({ parent_id: parent, labels: ['old'] })
      const labelled = await scene.start({ labels: ['all'] })
      const service = await scene.service()
      const invocation = await scene.enqueue(service, { source_session_id: child })
      await scene.call('DELETE', `/agents/${parent}`)
      await db.sql`update agent_sessions set terminated_at = now() - interval '91 days' where terminated_at is not null`
      await db.sql`delete from caracal_outbox`
      for (const status of ['published', 'dead', 'pending']) {
        await db.sql`
        insert into caracal_outbox
          (id, producer, topic, dedupe_key, payload_json, status, available_at, updated_at, created_at)
        values (${uuidv7()}, 'coordinator', 't', ${status}, '{}', ${status}, now() - interval '8 days',
                now() - interval '8 days', now() - interval '8 days')`
      }
      await db.sql`
      insert into caracal_outbox
        (id, producer, topic, dedupe_key, payload_json, status, available_at, updated_at, created_at)
      select gen_random_uuid()::text, 'coordinator', 't', n::text, '{}', 'published', now() - interval '8 days',
             now() - interval '8 days', now() - interval '8 days'
      from generate_series(1, 1200) as n`
      await scene.start({}, { headers: { 'idempotency-key': 'old' } })
      await db.sql`
      update coordinator_idempotency_receipts
      set created_at = now() - interval '8 days', expires_at = now() - interval '1 day'`
      await scene.stage.run('retention_cleaner')
      await scene.stage.run('retention_cleaner')
      const ids = async (rows: PromiseLike<readonly { id?: string }[]>) => (await rows).map((row) => row.id)
      expect(await ids(db.sql`select id from delegation_edges`)).toEqual([kept.id])
      const left = await ids(db.sql`select id from agent_sessions`)
      expect(left).not.toContain(parent)
      expect(left).not.toContain(child)
      expect(left).toContain(s1)
      expect([...(await db.sql`select label, session_id from agent_session_labels`)]).toEqual([
        { label: 'all', session_id: labelled },
      ])
      expect(
        (await scene.call('GET', `/invocations/${invocation.body.id}`)).body.source_session_id,
      ).toBeNull()
      const statuses =
        await db.sql`select dedupe_key from caracal_outbox where topic = 't' order by dedupe_key`
      expect(statuses.map((row) => row.dedupe_key)).toEqual(['dead', 'pending'])
      expect(await db.sql`select 1 from coordinator_idempotency_receipts`).toHaveLength(0)
      const stats = await scene.stage.call('GET', '/stats', { bearer: scene.op })
      expect(stats.body.retention_cleaner).toMatchObject({ runs: 2, failures: 0, deleted_sessions: 2 })
    },
  )

  seam('reads the counters of the worker it ran')(
    'W6 invocations that ended 90 days ago go, those that wait or run stay',
    async () => {
      await using scene = await openScene()
      const db = scene.stage.store.db
      const service = await scene.service()
      const made = await Promise.all([1, 2, 3, 4].map(() => scene.enqueue(service)))
      const [pending, running, ended, young] = made.map(({ body }) => body.id as string)
      for (const id of [running, ended, young]) await scene.call('PATCH', `/invocations/${id}/start`)
      for (const id of [ended, young]) {
        await scene.call('PATCH', `/invocations/${id}/complete`, { json: { status: 'succeeded' } })
      }
      await db.sql`update agent_invocations set updated_at = now() - interval '91 days' where id <> ${young ?? ''}`
      await scene.stage.run('retention_cleaner')
      const left = (await db.sql`select id from agent_invocations order by id`).map((row) => row.id)
      expect(left).toEqual([pending, running, young].sort())
      expect((await scene.call('GET', `/invocations/${ended}`)).status).toBe(404)
      const stats = await scene.stage.call('GET', '/stats', { bearer: scene.op })
      expect(stats.body.retention_cleaner).toMatchObject({ deleted_invocations: 1 })
    },
  )

  seam('holds the lock of a worker that others run')('one replica sweeps at a time', async () => {
    await using scene = await openScene()
    const id = await scene.start({ ttl_seconds: 1 })
    const db = scene.stage.store.db
    await db.sql`update agent_sessions set spawned_at = now() - interval '1 hour' where id = ${id}`
    await db.transaction(async (tx) => {
      await tx.sql`select pg_advisory_xact_lock(hashtext('coordinator:ttl_sweep'))`
      await scene.stage.run('ttl_sweeper')
      expect((await scene.session(id)).status).toBe('active')
    })
    await scene.stage.run('ttl_sweeper')
    expect((await scene.session(id)).status).toBe('terminated')
  })

  it('W7 what stable demands is named', () => {
    const load = (env: Record<string, string>) => () =>
      loadSettings(
        { ...testKeys, CARACAL_ROLE: 'coordinator', CARACAL_MODE: 'stable', ...env },
        { generateSecrets: false },
      )
    expect(load({})).toThrow(/DATABASE_URL/)
    expect(load({ DATABASE_URL: 'postgres://x/y' })).toThrow(/AGENT_COORDINATOR_SCOPE/)
    expect(load({ OUTBOX_BATCH_SIZE: 'abc' })).toThrow(/OUTBOX_BATCH_SIZE/)
  })

  seam('drains one process')('W8 draining answers 503 at /ready and goes on working', async () => {
    await using scene = await openScene()
    scene.stage.role.drain()
    expect(await scene.stage.call('GET', '/ready')).toMatchObject({
      status: 503,
      body: { ok: false, draining: true },
    })
    expect((await scene.call('GET', '/agents')).status).toBe(200)
  })

  seam('takes the stores from one process')(
    'W9 without Postgres: healthy, not ready; without Redis: not ready either',
    async () => {
      const peer = await z.stage.peer()
      await peer.db[Symbol.asyncDispose]()
      expect(await peer.call('GET', '/health')).toMatchObject({ status: 200, body: { ok: true } })
      expect(await peer.call('GET', '/ready')).toMatchObject({
        status: 503,
        body: { error: 'postgres_unreachable', dependency: 'postgres' },
      })
      expect((await peer.call('GET', '/metrics', { bearer: z.op })).status).toBe(200)
      await using redis = createRedisEphemera({
        url: 'redis://127.0.0.1:1',
        db: z.stage.store.db,
        log: z.stage.log,
        settings: z.stage.settings,
      })
      const limits = { COORDINATOR_RATE_LIMIT_PER_MIN: 600, READY_RATE_LIMIT_PER_MIN: 120 }
      const split = await z.stage.peer({ ephemera: redis, settings: { ...z.stage.settings, ...limits } })
      expect(await split.call('GET', '/ready')).toMatchObject({
        status: 503,
        body: { error: 'redis_unreachable', dependency: 'redis' },
      })
      // Neither the limits nor the short spawn lock stand in the way.
      const json = { application_id: z.a }
      expect((await split.call('POST', z.stage.at('/agents'), { bearer: z.ta, json })).status).toBe(201)
    },
  )

  seam('reads the counters of one process')(
    'W10 metrics for the operator or the scraper, and nobody else',
    async () => {
      await z.start({}, { headers: { 'idempotency-key': 'metrics' } })
      for (const bearer of [z.op, 'scrape']) {
        const reply = await z.stage.call('GET', '/metrics', { bearer })
        expect(reply.status).toBe(200)
        expect(reply.headers.get('content-type')).toContain('version=0.0.4')
        for (const line of [
          /caracal_outbox_total\{status="pending"\} [1-9]/,
          /caracal_idempotency_requests_total\{outcome="created"\} 1/,
          /caracal_idempotency_receipts \d/,
          /caracal_ttl_sweeper_runs_total 0/,
        ]) {
          expect(reply.body.text).toMatch(line)
        }
      }
      const stable = await z.stage.peer({
        settings: { ...z.stage.settings, CARACAL_MODE: 'stable', METRICS_BEARER: null },
      })
      expect(await stable.call('GET', '/metrics')).toMatchObject(refusal(401, 'unauthorized'))
      const stats = await z.stage.call('GET', '/stats', { bearer: z.op })
      expect(stats.body).toMatchObject({
        invocations: { running: 0 },
        outbox: { dead: 0, pending: expect.any(Number) },
        idempotency: { rows: 1, outcomes: { created: 1, replayed: 0 } },
        log: { emitted: 0 },
      })
    },
  )

  it('W11 verify says what a mandate holds, or that it does not', async () => {
    const verify = (json: unknown) => z.stage.call('POST', '/v1/verify', { json })
    const { zoneId } = z.stage.zone
    const good = await verify({
      authorization: `Bearer ${z.ta}`,
      zone_id: zoneId,
      required_scope: 'agent:lifecycle',
    })
    expect(good).toMatchObject({
      status: 200,
      body: {
        valid: true,
        claims: { sub: z.a, zoneId, clientId: z.a, use: 'session', subType: 'application' },
      },
    })
    expect(good.body.claims).not.toHaveProperty('sessionId')
    const resource = await z.stage.mandate({ use: 'resource', target: ['resource://r'], hop_count: 1 })
    expect((await verify({ token: resource, zone_id: zoneId })).body.claims).toMatchObject({
      targetResources: ['resource://r'],
      hopCount: 1,
    })
    const unknown = await verify({ token: z.ta, zone_id: zoneId, speed: 1 })
    expect(unknown).toMatchObject({ status: 400, body: { valid: false, error: 'invalid_request' } })
    expect(unknown.body.details.issues[0].path).toEqual(['speed'])
    expect((await verify({ zone_id: zoneId })).body).toEqual({ valid: false, error: 'missing_token' })
    const blank = { token: ' ', zone_id: zoneId }
    expect((await verify(blank)).body.error).toBe('missing_token')
    expect((await verify({ ...blank, authorization: `Bearer ${z.ta}` })).body.valid).toBe(true)
    for (const body of [
      { token: 'garbage' },
      { token: z.ta, zone_id: 'another' },
      { token: z.ta, require_session: true },
      { token: z.ta, require_delegation: true },
      { token: z.ta, required_scope: 'other' },
      { token: await z.stage.mandate({ use: 'gateway' }) },
      { token: await z.stage.mandate({ hop_count: 11 }) },
      { token: await z.stage.mandate({ jti: undefined }) },
    ]) {
      const reply = await verify({ zone_id: zoneId, ...body })
      expect(reply).toMatchObject({ status: 401, body: { valid: false, error: 'token_invalid' } })
    }
    const broken = await z.stage.call('POST', '/v1/verify', { text: '{' })
    expect(broken).toMatchObject({ status: 400, body: { valid: false, error: 'invalid_request' } })
  })

  seam('takes a table from everybody')('W12 what cannot be recorded is not answered as done', async () => {
    await using scene = await openScene()
    const id = await scene.start()
    await scene.stage.store.admin`alter table admin_audit_events rename to out_of_reach`
    const reply = await scene.call('DELETE', `/agents/${id}`)
    expect(reply).toMatchObject(refusal(500, 'audit_unavailable'))
    expect(reply.body).toMatchObject({ message: expect.any(String), request_id: expect.any(String) })
    expect((await scene.session(id)).status).toBe('terminated')
  })

  it('W12 the same where only the insert of the record fails: the change is made', async () => {
    await using scene = await openScene()
    const { db, admin } = scene.stage.store
    const [s1, s2] = [await scene.start(), await scene.start()]
    const { id: edge } = await scene.delegate(s1, s2)
    await admin`create function public.no_more() returns trigger language plpgsql as
      $$ begin raise exception 'the disk of the records is full'; end $$`
    await admin.unsafe(`create trigger no_more before insert on admin_audit_events for each row
      when (new.zone_id = '${scene.stage.zone.zoneId}') execute function public.no_more()`)
    const unavailable = refusal(500, 'audit_unavailable')
    expect(await scene.call('PATCH', `/delegations/${edge}/revoke`)).toMatchObject(unavailable)
    expect(await db.sql`select status from delegation_edges where id = ${edge}`).toEqual([
      { status: 'revoked' },
    ])
    expect(await scene.call('DELETE', `/agents/${s1}`)).toMatchObject(unavailable)
    expect((await scene.session(s1)).status).toBe('terminated')
    await admin`drop function public.no_more() cascade`
    const s3 = await scene.start()
    const together = await db.sql`
      select 1 from agent_sessions s join admin_audit_events a on a.entity_id = s.id and a.xmin = s.xmin
      where s.id = ${s3} and a.status_code = 201`
    expect(together, 'a session and its record are of one transaction').toHaveLength(1)
  })

  seam('takes a table from everybody')('a failure of our own says nothing but its name', async () => {
    await using scene = await openScene()
    await scene.stage.store.admin`alter table agent_services rename to out_of_reach`
    const reply = await scene.call('GET', '/agent-services')
    expect(reply.status).toBe(500)
    expect(reply.body).toEqual({
      error: 'internal_error',
      error_description: 'The service failed to process the request',
      requestId: expect.any(String),
      request_id: expect.any(String),
    })
  })

  seam('counts how often one process reads the keys')(
    'a retired key stops verifying as soon as its change is published',
    async () => {
      await using scene = await openScene()
      await scene.stage.role.prepare(never)
      expect((await scene.call('GET', '/agents')).status).toBe(200)
      const { db } = scene.stage.store
      await db.transaction((tx) =>
        scene.stage.outbox.enqueue(tx, 'sts', [
          { topic: 'caracal.keys.invalidate', payload: { zone_id: scene.stage.zone.zoneId, kid: 'x' } },
        ]),
      )
      const asked = scene.stage.keyReads()
      await scene.stage.outbox.dispatcher.tick(jobContext())
      await eventually(async () => {
        await scene.call('GET', '/agents')
        return scene.stage.keyReads() > asked
      })
    },
  )

  seam('reads the routes of an app in the hand')('every operation is in the document', async () => {
    const reply = await z.stage.call('GET', '/openapi.json')
    expect(reply.body.openapi).toBe('3.1.0')
    const entries = Object.entries(reply.body.paths as Record<string, Record<string, unknown>>).flatMap(
      ([path, methods]) =>
        Object.keys(methods).map((method) => ({ method: method.toUpperCase() as 'GET', path })),
    )
    const inventory = routeInventory(z.stage.role.app, entries, (path) =>
      ['/health', '/ready', '/metrics', '/stats', '/v1/verify', '/openapi.json'].includes(path),
    )
    expect(inventory).toEqual({ undocumented: [], unregistered: [] })
    expect(entries.length).toBeGreaterThan(35)
  })
})

describe('limits (coordinator §1.2)', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await openScene({
      COORDINATOR_RATE_LIMIT_PER_MIN: 6,
      READY_RATE_LIMIT_PER_MIN: 1,
      VERIFY_RATE_LIMIT_PER_MIN: 1,
      TRUST_PROXY: true,
    })
  })
  afterAll(() => scene[Symbol.asyncDispose]())

  it('every window of §1.2 answers 429 with Retry-After', async () => {
    // An address of its own: who waits for a deployment asks whether it is ready, too.
    const headers = { 'x-forwarded-for': '198.51.100.8' }
    const ask = (method: string, path: string) => scene.stage.call(method, path, { json: {}, headers })
    await leftOfMinute()
    expect((await ask('GET', '/ready')).status).toBe(200)
    expect(await ask('GET', '/ready')).toMatchObject(refusal(429, 'rate_limited'))
    expect((await ask('POST', '/v1/verify')).status).toBe(400)
    expect((await ask('POST', '/v1/verify')).body).toEqual({ valid: false, error: 'rate_limited' })
    expect((await scene.call('GET', '/agents', { headers })).status).toBe(200)
    expect((await scene.call('GET', '/agents', { headers })).status).toBe(200)
    const over = await scene.call('GET', '/agents', { headers })
    expect(over).toMatchObject(refusal(429, 'rate_limited'))
    expect(Number(over.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await ask('GET', '/health')).status).toBe(200)
  })
})
