/** gateway, acceptance checks 53–56 and 59–62: revocation plumbing, evidence and what readiness says. */
import { createHmac } from 'node:crypto'
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRedisBus } from '../../../src/platform/bus/redis.ts'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { createTestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { seam } from '../../fixtures/seam.ts'
import { createRedisStore, redisSettings } from '../../platform/bus/redis-store.ts'
import { openStage, startUpstream, type Upstream } from '../../roles/gateway/stage.ts'
import { claimsOf } from '../../roles/sts/world.ts'
import { openScene, type Scene } from './scene.ts'

let upstream: Upstream
beforeAll(async () => {
  upstream = await startUpstream()
})
afterAll(() => upstream[Symbol.asyncDispose]())

describe('gateway: revocation plumbing', () => {
  seam('counts the messages of one gateway')(
    '54: a message without an anchor does not stop the others',
    async () => {
      const stage = await openStage()
      stage.route(upstream.url)
      const stream = 'caracal.sessions.revoke'
      await stage.publish(stream, { zone_id: 'zone-1', reason: 'nothing named' })
      await stage.publish(stream, { zone_id: 'zone-1', agent_session_id: 'later', reason: 'x' })
      await eventually(async () => (await stage.metric('caracal_gateway_revocation_messages_total')) === 1)
      const refused = await stage.call({ mandate: stage.sts.mint({ agent_session_id: 'later' }) })
      expect(refused.json().error_description).toBe('session revoked')
      await stage[Symbol.asyncDispose]()
    },
  )

  seam('counts the messages of one gateway')('53: what nobody signed changes nothing', async () => {
    const stage = await openStage()
    stage.route(upstream.url)
    const fields = { zone_id: 'zone-1', agent_session_id: 'session-1', reason: 'x', _sig: '0'.repeat(64) }
    await stage.bus.publish([{ stream: 'caracal.sessions.revoke', fields }])
    await eventually(
      async () => (await stage.metric('caracal_gateway_revocation_invalid_signatures_total')) === 1,
    )
    expect((await stage.call()).status).toBe(200)
    await stage[Symbol.asyncDispose]()
  })

  seam('starts a gateway later than the rest')(
    '55: what was revoked while the gateway was away is refused by its first answer',
    async () => {
      const scene = await openScene()
      const delegation = await scene.delegate()
      const mandate = await scene.mint({ delegation })
      await scene.world.db.sql`
      update agent_sessions
      set status = 'terminated', terminated_at = now(), updated_at = now()
      where id = ${delegation.childSessionId}`
      const late = await openStage({ platform: scene.world, deps: { sts: scene.world.sts } })
      const answer = await late.call({ mandate, resource: scene.zone.resource.identifier })
      expect([answer.status, answer.json().error_description]).toEqual([401, 'session revoked'])
      await late[Symbol.asyncDispose]()
      await scene[Symbol.asyncDispose]()
    },
  )
})

describe('gateway: evidence', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await openScene()
  })
  afterAll(() => scene[Symbol.asyncDispose]())

  test('59: one signed event per governed call, complete and without secrets', async () => {
    const mandate = await scene.mint()
    await scene.call({
      mandate,
      method: 'POST',
      path: '/private?hidden=1',
      body: 'payload',
      headers: { 'x-request-id': 'evidence' },
    })
    await scene.stage.evidence('evidence', 'gateway_resource_request')
    const entries = await scene.stage.bus.range('caracal.audit.events', scene.world.since, 10_000)
    const ours = entries.filter(({ fields: { data = '{}' } }) => {
      const event = JSON.parse(data) as { event_type?: string; request_id?: string }
      return event.event_type === 'gateway_resource_request' && event.request_id === 'evidence'
    })
    expect(ours).toHaveLength(1)
    const { id, data, sig } = ours[0]?.fields ?? {}
    const event = JSON.parse(data ?? '') as { id: string; metadata_json: Record<string, unknown> }
    expect(event.id).toBe(id)
    expect(Object.keys(event.metadata_json).sort()).toEqual([
      'agent_session_id',
      'application_id',
      'auth_mode',
      'delegation_edge_id',
      'gateway_status',
      'latency_ms',
      'method',
      'provider_id',
      'resource',
      'response_bytes',
      'result_class',
      'subject_fingerprint',
      'subject_kind',
      'trace_id',
      'upstream_host',
      'upstream_status',
    ])
    const { agent_session_id, delegation_edge_id } = claimsOf(mandate)
    expect(event.metadata_json).toMatchObject({ agent_session_id, delegation_edge_id })
    const key = Buffer.from(scene.stage.settings.AUDIT_HMAC_KEY ?? '', 'hex')
    expect(sig).toBe(
      createHmac('sha256', key)
        .update(data ?? '')
        .digest('hex'),
    )
    for (const secret of [mandate, 'private', 'hidden', 'payload']) expect(data).not.toContain(secret)
  })

  seam('breaks the journal of one gateway')(
    '61: a journal that cannot be written is said by readiness',
    async () => {
      rmSync(scene.stage.journal, { recursive: true })
      writeFileSync(scene.stage.journal, 'in the way')
      const response = await fetch(`${scene.stage.url}/ready`)
      expect([response.status, await response.json()]).toEqual([
        503,
        { ok: false, ready: false, reason: 'audit_replay_unavailable' },
      ])
    },
  )
})

seam('the bus is cut off from one gateway')(
  '60, 62: events wait on disk while the bus is away, and follow without loss or doubles',
  async () => {
    const store = await createRedisStore()
    const database = await createTestDatabase()
    const log = pino({ level: 'silent' })
    const bus = createRedisBus({ url: store.url, log, settings: redisSettings })
    const ephemera = createPostgresEphemera({ db: database.db, log })
    await eventually(() => bus.ping().then(() => true), { timeoutMs: 20_000 })
    const stage = await openStage({ platform: { database, bus, ephemera } })
    stage.route(upstream.url)
    await store.cut()
    const ids = Array.from({ length: 5 }, (_, index) => `away-${index}`)
    for (const id of ids) expect((await stage.call({ headers: { 'x-request-id': id } })).status).toBe(200)
    const pending = (): string[] => readdirSync(stage.journal).filter((name) => name.endsWith('.ndjson'))
    await eventually(() => pending().length > 0)
    for (const name of pending()) {
      expect(name).toMatch(/^pending-/)
      expect(statSync(join(stage.journal, name)).mode & 0o777).toBe(0o600)
    }
    const ready = await fetch(`${stage.url}/ready`)
    expect(await ready.json()).toEqual({ ok: false, ready: false, reason: 'redis_unreachable' })
    await store.restore()
    await eventually(() => pending().length === 0, { timeoutMs: 30_000 })
    const events = (await stage.allEvidence()).filter((event) => ids.includes(event.request_id))
    expect(events.map((event) => event.request_id).sort()).toEqual(ids)
    expect(new Set(events.map((event) => event.id)).size).toBe(ids.length)
    await stage[Symbol.asyncDispose]()
    await ephemera[Symbol.asyncDispose]()
    await bus[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
    await store[Symbol.asyncDispose]()
  },
)
