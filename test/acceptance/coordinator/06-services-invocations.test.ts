import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../fixtures/eventually.ts'
import { leftOfMinute } from '../../fixtures/minute.ts'
import { invocations, openScene, refusal, type Scene } from './scene.ts'

let z: Scene
let service: string
beforeAll(async () => {
  z = await openScene({ MAX_AGENTS_PER_ZONE: 500 })
  service = await z.service()
})
afterAll(() => z[Symbol.asyncDispose]())

const step = (id: string, what: 'start' | 'cancel' | 'complete', json?: unknown, verb = 'PATCH') =>
  z.call(verb, `/invocations/${id}/${what}`, json === undefined ? {} : { json })
const queued = async (body: Record<string, unknown> = {}) => String((await z.enqueue(service, body)).body.id)
const running = async (body: Record<string, unknown> = {}) => {
  const id = await queued(body)
  expect((await step(id, 'start')).status).toBe(200)
  return id
}

describe('services (coordinator §18 V)', () => {
  it('V1 registering again describes the same service anew', async () => {
    const register = (capabilities: string[]) =>
      z.call('POST', '/agent-services', {
        json: {
          application_id: z.a,
          endpoint_url: 'https://twice.example/',
          capabilities,
          framework: { name: 'langgraph' },
          metadata: { n: capabilities.length },
        },
      })
    const first = await register(['one'])
    expect(first).toMatchObject({
      status: 201,
      body: { health: 'starting', framework_name: 'langgraph', framework_version: null },
    })
    const second = await register(['one', 'two'])
    expect(second).toMatchObject({
      status: 201,
      body: { id: first.body.id, capabilities: ['one', 'two'], metadata_json: { n: 2 } },
    })
    expect(second.body.last_heartbeat_at).toBe(first.body.last_heartbeat_at)
    const list = await z.call('GET', '/agent-services')
    const same = list.body.items.filter((item: { id: string }) => item.id === first.body.id)
    expect(same).toHaveLength(1)
  })

  it('V2 an endpoint is a URL, and an application one’s own', async () => {
    const register = (json: Record<string, unknown>, bearer = z.ta) =>
      z.call('POST', '/agent-services', { json, bearer })
    expect(await register({ application_id: z.a, endpoint_url: 'nowhere' })).toMatchObject(
      refusal(400, 'invalid_body'),
    )
    const longest = (character: string, bytes: number) =>
      register({
        application_id: z.a,
        endpoint_url: `https://a.example/${character.repeat((2048 - 18) / bytes)}`,
      })
    expect((await longest('x', 1)).status).toBe(201)
    expect((await longest('é', 2)).status).toBe(201)
    expect(await longest('é', 1)).toMatchObject(refusal(400, 'invalid_body'))
    const valid = { application_id: z.b, endpoint_url: 'https://b.example' }
    expect(await register(valid)).toMatchObject(refusal(403, 'application_ownership_required'))
    const spawner = await z.stage.mandate({ scope: 'agent:lifecycle coordinator.spawn_for:gone' })
    expect(await register({ ...valid, application_id: 'gone' }, spawner)).toMatchObject(
      refusal(404, 'application_not_found'),
    )
  })

  it('V3 the seed’s routes of one session', async () => {
    const agent = await z.start()
    const path = `/agents/${agent}/services`
    const json = { endpoint_url: 'https://s1.example', framework_name: 'crewai', metadata_json: { a: 1 } }
    const made = await z.call('POST', path, { json })
    expect(made).toMatchObject({
      status: 201,
      body: {
        agent_session_id: agent,
        application_id: z.a,
        framework_name: 'crewai',
        metadata_json: { a: 1 },
      },
    })
    const { id } = made.body
    expect((await z.call('GET', path)).body.items).toMatchObject([{ id }])
    expect((await z.call('GET', path, { bearer: z.op })).status).toBe(200)
    const patch = (change: unknown) => z.call('PATCH', `${path}/${id}`, { json: change })
    expect((await patch({ health: 'degraded', capabilities: ['c'] })).body).toMatchObject({
      health: 'degraded',
      capabilities: ['c'],
      framework_name: 'crewai',
    })
    expect((await patch({ framework: null, metadata: {} })).body).toMatchObject({
      framework_name: null,
      metadata_json: {},
      health: 'degraded',
    })
    for (const change of [{ health: 'x' }, {}]) {
      expect(await patch(change)).toMatchObject(refusal(400, 'invalid_body'))
    }
    const beat = await z.call('POST', `${path}/${id}/heartbeat`)
    expect(beat.body.health).toBe('healthy')
    expect(beat.body.last_heartbeat_at > made.body.last_heartbeat_at).toBe(true)
    expect(await z.call('POST', `${path}/${id}/heartbeat`, { json: [] })).toMatchObject(
      refusal(400, 'invalid_body'),
    )
    const named = await z.call('POST', `${path}/${id}/heartbeat`, {
      json: { status: 'degraded', metadata: { b: 2 } },
    })
    expect(named.body).toMatchObject({ health: 'degraded', metadata_json: { b: 2 } })
    await z.call('POST', path, { json: { endpoint_url: 'https://s1-other.example' } })
    expect(await patch({ endpoint_url: 'https://s1-other.example' })).toMatchObject(
      refusal(409, 'agent_service_conflict'),
    )
    expect(await z.call('PATCH', `${path}/none`, { json: { health: 'healthy' } })).toMatchObject(
      refusal(404, 'agent_service_not_found'),
    )
    expect(await z.call('POST', path, { json: { ...json, application_id: z.b } })).toMatchObject(
      refusal(400, 'invalid_body'),
    )
    expect(await z.call('POST', path, { json, bearer: z.tb })).toMatchObject(
      refusal(403, 'application_ownership_required'),
    )
    expect(await z.call('GET', '/agents/none/services')).toMatchObject(refusal(404, 'session_not_found'))
    await z.call('DELETE', `/agents/${agent}`)
    expect(await z.call('POST', path, { json })).toMatchObject(refusal(409, 'session_not_live'))
    expect(await z.call('POST', `${path}/${id}/heartbeat`)).toMatchObject(refusal(409, 'session_not_live'))
  })

  it('V4 a session’s heartbeat reports its service, or renews nothing', async () => {
    const agent = await z.start({ lifecycle: 'service' })
    const beat = (service_id: string) =>
      z.call('POST', `/agents/${agent}/heartbeat`, {
        json: { lease_generation: 1, service_id, status: 'degraded' },
      })
    expect((await beat(service)).body.service).toMatchObject({ id: service, health: 'degraded' })
    const before = (await z.session(agent)).heartbeat_deadline_at
    expect(await beat('none')).toMatchObject(refusal(404, 'agent_service_not_found'))
    expect((await z.session(agent)).heartbeat_deadline_at).toEqual(before)
    const path = `/agents/${agent}/services/${service}/heartbeat`
    expect(await z.call('POST', path, { json: { lease_generation: 9 } })).toMatchObject(
      refusal(409, 'session_lease_fenced'),
    )
    expect((await z.call('POST', path, { json: { lease_generation: 1 } })).body.health).toBe('healthy')
  })

  it('a service’s heartbeat waits for its session with the service free for the session’s own', async () => {
    const agent = await z.start({ lifecycle: 'service' })
    const { admin, db } = z.stage.store
    const { beaten } = await db.transaction(async (tx) => {
      await tx.sql`select 1 from agent_sessions where id = ${agent} for no key update`
      const beaten = z.call('POST', `/agents/${agent}/services/${service}/heartbeat`)
      await eventually(async () => {
        const waiting = await admin`
          select 1 from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and query like '%agent_sessions%'`
        return waiting.length > 0
      })
      await tx.sql`select 1 from agent_services where id = ${service} for update nowait`
      return { beaten }
    })
    expect((await beaten).status).toBe(200)
  })
})

describe('invocations (coordinator §18 V)', () => {
  it('V5 the defaults', async () => {
    const reply = await z.enqueue(service)
    expect(reply).toMatchObject({
      status: 201,
      body: {
        status: 'pending',
        attempts: 0,
        max_attempts: 3,
        timeout_ms: 30_000,
        retry_policy_json: { max_attempts: 3, backoff_ms: 1000 },
        deadline_at: null,
      },
    })
    expect(reply.body).not.toHaveProperty('params_json')
    expect(await z.events(invocations, `invocation.created:${reply.body.id}:0`)).toHaveLength(1)
  })

  it('V6 a key is one invocation of its service', async () => {
    const body = { idempotency_key: 'v6', params: { n: 1 } }
    const first = await z.enqueue(service, body)
    await step(first.body.id, 'start')
    const again = await z.enqueue(service, body)
    expect(again).toMatchObject({ status: 201, body: { id: first.body.id, status: 'running' } })
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(await z.enqueue(service, { ...body, params: { n: 2 } })).toMatchObject(
      refusal(409, 'idempotency_key_conflict'),
    )
    expect((await z.enqueue(await z.service(), body)).body.id).not.toBe(first.body.id)
    const byHeader = await z.call('POST', '/invocations', {
      json: { service_id: service, method: 'run', params: { n: 1 } },
      headers: { 'idempotency-key': 'v6' },
    })
    expect(byHeader.body.id).toBe(first.body.id)
  })

  it('V7 what is missing or out of bounds', async () => {
    for (const body of [
      { idempotency_key: undefined },
      { timeout_ms: 0 },
      { retry_policy: { max_attempts: 11 } },
      { retry_policy: [] },
      { metadata: [] },
    ]) {
      expect(await z.enqueue(service, body)).toMatchObject(refusal(400, 'invalid_body'))
    }
    expect(await z.enqueue('none')).toMatchObject(refusal(404, 'agent_service_not_found'))
    expect(await z.enqueue(service, { source_session_id: 'none' })).toMatchObject(
      refusal(404, 'session_not_found'),
    )
    expect(await z.call('GET', '/invocations/none')).toMatchObject(refusal(404, 'invocation_not_found'))
    expect(await step('none', 'start')).toMatchObject(refusal(404, 'invocation_not_found'))
  })

  it('V8 start gives the attempt a deadline, once', async () => {
    const id = await queued({ params: { city: 'Rome' }, timeout_ms: 60_000 })
    const started = await step(id, 'start')
    expect(started).toMatchObject({
      status: 200,
      body: { status: 'running', attempts: 1, params_json: { city: 'Rome' } },
    })
    const span = Date.parse(started.body.deadline_at) - Date.parse(started.body.started_at)
    expect(span).toBe(60_000)
    expect(await step(id, 'start')).toMatchObject(refusal(409, 'invocation_not_startable'))
    const seen = await z.call('GET', `/invocations/${id}`, { bearer: z.tb })
    expect(seen.status).toBe(200)
    expect(seen.body).not.toHaveProperty('params_json')
  })

  it('V9 complete, once, and never what has not begun', async () => {
    const id = await running()
    const json = { status: 'succeeded', metadata: { took: 3 } }
    expect(await step(id, 'complete', { status: 'failed', error: [1] })).toMatchObject(
      refusal(400, 'invalid_body'),
    )
    expect((await step(id, 'complete', json)).body).toMatchObject({
      status: 'succeeded',
      metadata_json: { took: 3 },
      completed_at: expect.any(String),
    })
    expect(await step(id, 'complete', json)).toMatchObject(refusal(409, 'invocation_not_completable'))
    expect(await step(await queued(), 'complete', json)).toMatchObject(
      refusal(409, 'invocation_not_completable'),
    )
  })

  it('V10 reported failures exhaust the attempts', async () => {
    const id = await running({ retry_policy: { max_attempts: 2 } })
    const fail = () => step(id, 'complete', { status: 'failed', error: { code: 'boom' } })
    expect((await fail()).body).toMatchObject({ status: 'failed', error_json: { code: 'boom' } })
    expect((await step(id, 'start')).body).toMatchObject({
      attempts: 2,
      error_json: null,
      completed_at: null,
    })
    expect((await fail()).body.status).toBe('dead')
    expect(await step(id, 'start')).toMatchObject(refusal(409, 'invocation_not_startable'))
    expect(await z.events(invocations, `invocation.dead:${id}:2`)).toHaveLength(1)
  })

  it('V11 a deadline passes: timed_out, and startable again', async () => {
    const id = await running({ timeout_ms: 1, retry_policy: { max_attempts: 2 } })
    const late = () =>
      z.stage.store.db.sql`update agent_invocations set deadline_at = now() - interval '1 s' where id = ${id}`
    await late()
    await z.stage.run('deadline_enforcer')
    expect((await z.call('GET', `/invocations/${id}`)).body).toMatchObject({
      status: 'timed_out',
      error_json: { reason: 'deadline_exceeded' },
    })
    expect((await step(id, 'start')).body.attempts).toBe(2)
    await late()
    await z.stage.run('deadline_enforcer')
    expect(await step(id, 'start')).toMatchObject(refusal(409, 'invocation_not_startable'))
    expect(await z.events(invocations, `invocation.timed_out:${id}:`)).toHaveLength(2)
  })

  it('V12 cancel what waits, what runs, what is over', async () => {
    const waiting = await queued()
    const canceled = await step(waiting, 'cancel', { reason: 'not needed' })
    expect(canceled.body).toMatchObject({
      status: 'canceled',
      metadata_json: { cancel_reason: 'not needed' },
    })
    const id = await running()
    expect((await step(id, 'cancel')).body.status).toBe('cancel_requested')
    expect((await step(id, 'cancel')).body.status).toBe('cancel_requested')
    expect(await z.events(invocations, `invocation.cancel_requested:${id}:`)).toHaveLength(1)
    expect((await step(id, 'complete', { status: 'succeeded' })).body.status).toBe('succeeded')
    expect(await step(id, 'cancel')).toMatchObject(refusal(409, 'invocation_not_cancelable'))
    const stopped = await running()
    expect(await step(stopped, 'complete', { status: 'canceled' })).toMatchObject(
      refusal(409, 'invocation_not_completable'),
    )
    await step(stopped, 'cancel')
    expect((await step(stopped, 'complete', { status: 'canceled' })).body.status).toBe('canceled')
    const ignored = await running()
    await step(ignored, 'cancel')
    await z.stage.store.db.sql`
      update agent_invocations set deadline_at = now() - interval '1 s' where id = ${ignored}`
    await z.stage.run('deadline_enforcer')
    expect((await z.call('GET', `/invocations/${ignored}`)).body.status).toBe('canceled')
  })

  it('V13 both verbs', async () => {
    const id = await queued()
    for (const verb of ['POST', 'PATCH'] as const) {
      expect((await step(id, 'start', undefined, verb)).status).toBe(200)
      expect((await step(id, 'cancel', undefined, verb)).status).toBe(200)
      expect((await step(id, 'complete', { status: 'failed' }, verb)).status).toBe(200)
    }
  })

  it('V14 another application neither enqueues, starts nor cancels', async () => {
    const id = await queued()
    for (const what of ['start', 'cancel'] as const) {
      expect(await z.call('PATCH', `/invocations/${id}/${what}`, { bearer: z.tb })).toMatchObject(
        refusal(403, 'invoker_ownership_required'),
      )
    }
    expect(await z.enqueue(service, {}, { bearer: z.tb })).toMatchObject(
      refusal(403, 'invoker_ownership_required'),
    )
    const source = await z.start({ application_id: z.b }, { bearer: z.tb })
    const own = await z.enqueue(service, { source_session_id: source }, { bearer: z.tb })
    expect(own.status).toBe(201)
    const path = `/invocations/${own.body.id}`
    expect((await z.call('GET', path, { bearer: z.tb })).body).toHaveProperty('params_json')
    expect((await z.call('PATCH', `${path}/cancel`, { bearer: z.tb })).body.status).toBe('canceled')
  })

  it('V15 the hundred and twenty-first in a minute: rate_limited, replays are free', async () => {
    await using limited = await openScene({ INVOCATION_RATE_LIMIT_PER_MIN: 3 })
    const of = await limited.service()
    const first = { idempotency_key: 'first' }
    await leftOfMinute()
    for (const body of [first, {}, {}]) expect((await limited.enqueue(of, body)).status).toBe(201)
    const over = await limited.enqueue(of)
    expect(over).toMatchObject(refusal(429, 'rate_limited'))
    expect(Number(over.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await limited.enqueue(of, first)).headers.get('idempotency-replayed')).toBe('true')
    expect(await limited.call('PATCH', '/invocations/none/start')).toMatchObject(refusal(429, 'rate_limited'))
  })

  it('lists by status, service and session, without content', async () => {
    const of = await z.service()
    const source = await z.start()
    const made = await z.enqueue(of, { source_session_id: source, params: { secret: 1 } })
    for (const query of [`service_id=${of}`, `session_id=${source}`, `service_id=${of}&status=pending`]) {
      const { body } = await z.call('GET', `/invocations?${query}`)
      expect(body.items.map((item: { id: string }) => item.id)).toEqual([made.body.id])
      expect(body.items[0]).not.toHaveProperty('params_json')
    }
    expect(await z.call('GET', '/invocations?status=lost')).toMatchObject(refusal(400, 'invalid_query'))
  })
})
