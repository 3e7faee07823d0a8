import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openScene, refusal, type Scene } from './scene.ts'

let z: Scene
beforeAll(async () => {
  z = await openScene({ MAX_AGENTS_PER_ZONE: 500 })
})
afterAll(() => z[Symbol.asyncDispose]())

const begin = (json: unknown, bearer?: string) =>
  z.call('POST', '/agents', { json, ...(bearer === undefined ? {} : { bearer }) })

describe('start (coordinator §18 S)', () => {
  it('S1 a task with every default', async () => {
    const reply = await begin({ application_id: z.a })
    expect(reply.status).toBe(201)
    expect(reply.body.agent_session_id).toBe(reply.body.id)
    const sid = JSON.parse(Buffer.from(z.ta.split('.')[1] ?? '', 'base64url').toString()).sid
    expect(reply.body).toMatchObject({
      status: 'active',
      depth: 0,
      lifecycle: 'task',
      ttl_seconds: 3600,
      lease_generation: 0,
      parent_id: null,
      labels: [],
      subject_authority_record_id: sid,
      session_sid: sid,
      delegation_edge_id: null,
      heartbeat_deadline_at: null,
    })
    const read = await z.call('GET', `/agents/${reply.body.id}`)
    const { delegation_edge_id: _edge, ...identity } = reply.body
    expect(read.body).toMatchObject({ ...identity, metadata: {}, terminated_at: null })
  })

  it('S2 a service with a lease of two minutes', async () => {
    const { body } = await begin({ application_id: z.a, lifecycle: 'service' })
    expect(body).toMatchObject({ ttl_seconds: null, lease_generation: 1 })
    const left = Date.parse(body.heartbeat_deadline_at) - Date.now()
    expect(left).toBeGreaterThan(110_000)
    expect(left).toBeLessThan(121_000)
    const row = await z.session(body.id)
    expect((row.heartbeat_deadline_at as Date).toISOString()).toBe(body.heartbeat_deadline_at)
  })

  it('S3 a service has no TTL', async () => {
    const reply = await begin({ application_id: z.a, lifecycle: 'service', ttl_seconds: 60 })
    expect(reply).toMatchObject(refusal(400, 'invalid_body'))
    expect(reply.body.details.issues[0].path).toEqual(['ttl_seconds'])
    expect(reply.body).toMatchObject({ requestId: expect.any(String), request_id: expect.any(String) })
  })

  it.each([
    ['ttl 0', () => ({ application_id: z.a, ttl_seconds: 0 })],
    ['ttl above a day', () => ({ application_id: z.a, ttl_seconds: 86_401 })],
    ['ttl text', () => ({ application_id: z.a, ttl_seconds: 'x' })],
    ['33 labels', () => ({ application_id: z.a, labels: Array.from({ length: 33 }, String) })],
    ['a label of 65', () => ({ application_id: z.a, labels: ['x'.repeat(65)] })],
    ['no application', () => ({})],
    ['an array', () => []],
    ['metadata that are an array', () => ({ application_id: z.a, metadata: [] })],
    ['U+0000', () => ({ application_id: z.a, metadata: { note: 'a\0b' } })],
    ['an unpaired surrogate', () => ({ application_id: z.a, metadata: { note: '\ud800' } })],
    ['nesting without end', () => ({ application_id: z.a, metadata: JSON.parse(nested(100)) })],
  ])('S4 %s: invalid_body', async (_what, json) => {
    expect(await begin(json())).toMatchObject(refusal(400, 'invalid_body'))
  })

  it('S4 a number beyond every double, with a key that is digested', async () => {
    const text = `{"application_id":"${z.a}","metadata":{"n":1e400}}`
    const reply = await z.call('POST', '/agents', { text, headers: { 'idempotency-key': 'large' } })
    expect(reply).toMatchObject(refusal(400, 'invalid_body'))
    expect(reply.body.details.issues[0].path).toEqual(['metadata', 'n'])
  })

  it('S4 broken JSON, and JSON that nests to the limit of the body', async () => {
    expect(await z.call('POST', '/agents', { text: '{"application_id":' })).toMatchObject(
      refusal(400, 'invalid_body'),
    )
    const deep = `{"application_id":"${z.a}","metadata":${nested(40_000)}}`
    expect(await z.call('POST', '/agents', { text: deep })).toMatchObject(refusal(400, 'invalid_body'))
  })

  it('S5 another application: application_ownership_required, unless spawn_for says so', async () => {
    expect(await begin({ application_id: z.b })).toMatchObject(refusal(403, 'application_ownership_required'))
    const admin = await z.stage.mandate({ scope: 'agent:lifecycle coordinator.admin' })
    expect(await begin({ application_id: z.b }, admin)).toMatchObject(
      refusal(403, 'application_ownership_required'),
    )
    const spawner = await z.stage.mandate({ scope: `agent:lifecycle coordinator.spawn_for:${z.b}` })
    expect((await begin({ application_id: z.b }, spawner)).status).toBe(201)
  })

  it('a mandate of an application that is gone meanwhile: application_not_found', async () => {
    const spawner = await z.stage.mandate({ scope: 'agent:lifecycle coordinator.spawn_for:gone' })
    expect(await begin({ application_id: 'gone' }, spawner)).toMatchObject(
      refusal(404, 'application_not_found'),
    )
  })

  it('a subject must be named when the mandate brings none', async () => {
    const bearer = await z.stage.mandate({ sid: undefined })
    expect(await begin({ application_id: z.a }, bearer)).toMatchObject(
      refusal(400, 'subject_session_id_required'),
    )
  })

  it('S6 an unknown parent: parent_not_found', async () => {
    expect(await begin({ application_id: z.a, parent_id: 'none' })).toMatchObject(
      refusal(404, 'parent_not_found'),
    )
  })

  it('S7 an unknown or expired subject record: session_not_found', async () => {
    const record = await z.userRecord()
    await z.stage.store.db.sql`
      update authority_records set expires_at = now() - interval '1 second' where id = ${record}`
    for (const subject of ['none', record]) {
      const reply = await begin({ application_id: z.a, subject_session_id: subject })
      expect(reply).toMatchObject(refusal(404, 'session_not_found'))
      expect(reply.body.detail).toEqual(expect.any(String))
    }
  })

  it('S8 a user’s record needs the user’s own mandate', async () => {
    const record = await z.userRecord()
    const proof = (claims: Record<string, unknown> = {}) =>
      z.stage.mandate({
        sub: 'user-1',
        sub_type: 'user',
        sid: record,
        root_sid: record,
        scope: undefined,
        ...claims,
      })
    const withProof = async (subject_token: string | undefined) =>
      begin({ application_id: z.a, subject_session_id: record, subject_token })
    expect(await withProof(undefined)).toMatchObject(refusal(401, 'invalid_subject_proof'))
    expect(await withProof(await proof({ scope: 'read' }))).toMatchObject(
      refusal(401, 'invalid_subject_proof'),
    )
    expect(await withProof(await proof({ root_sid: 'x' }))).toMatchObject(
      refusal(401, 'invalid_subject_proof'),
    )
    expect(await withProof(await proof({ client_id: z.b }))).toMatchObject(
      refusal(403, 'subject_proof_application_mismatch'),
    )
    const started = await withProof(await proof())
    expect(started.status).toBe(201)
    expect(started.body.session_sid).toBe(record)
    const foreign = JSON.parse(Buffer.from(z.tb.split('.')[1] ?? '', 'base64url').toString()).sid
    expect(await begin({ application_id: z.a, subject_session_id: foreign })).toMatchObject(
      refusal(403, 'subject_proof_application_mismatch'),
    )
  })

  it('S8 the proof may be waived, but never forged', async () => {
    await using lax = await openScene({ COORDINATOR_SUBJECT_PROOF: 'if_present' })
    const record = await lax.userRecord()
    const withProof = (subject_token?: string) =>
      lax.call('POST', '/agents', {
        json: { application_id: lax.a, subject_session_id: record, subject_token },
      })
    expect((await withProof()).status).toBe(201)
    expect(await withProof('not.a.mandate')).toMatchObject(refusal(401, 'invalid_subject_proof'))
  })

  it('S9 the eleventh child of a parent: session_children_limit_exceeded', async () => {
    const parent = await z.start()
    for (let child = 0; child < 10; child += 1) await z.start({ parent_id: parent })
    expect(await begin({ application_id: z.a, parent_id: parent })).toMatchObject(
      refusal(429, 'session_children_limit_exceeded'),
    )
  })

  it('S10 depth eleven: session_depth_limit_exceeded', async () => {
    let parent = await z.start()
    for (let depth = 1; depth <= 10; depth += 1) parent = await z.start({ parent_id: parent })
    expect((await z.session(parent)).depth).toBe(10)
    expect(await begin({ application_id: z.a, parent_id: parent })).toMatchObject(
      refusal(429, 'session_depth_limit_exceeded'),
    )
  })

  it('S11 sixty at once in an empty zone: fifty start', async () => {
    await using empty = await openScene({ MAX_AGENTS_PER_ZONE: 50 })
    const replies = await Promise.all(
      Array.from({ length: 60 }, () => empty.call('POST', '/agents', { json: { application_id: empty.a } })),
    )
    expect(replies.filter((reply) => reply.status === 201)).toHaveLength(50)
    expect(replies.filter((reply) => reply.body.error === 'session_zone_limit_exceeded')).toHaveLength(10)
    const [row] = await empty.stage.store.db
      .sql`select count(*)::int as n from agent_sessions where zone_id = ${empty.stage.zone.zoneId}`
    expect(row?.n).toBe(50)
  })

  it('S12 two hundred and one of one application: the last is session_limit_exceeded', async () => {
    await using wide = await openScene({ MAX_AGENTS_PER_ZONE: 500 })
    const replies = await Promise.all(
      Array.from({ length: 201 }, () => wide.call('POST', '/agents', { json: { application_id: wide.a } })),
    )
    expect(replies.filter((reply) => reply.status === 201)).toHaveLength(200)
    expect(replies.filter((reply) => reply.body.error === 'session_limit_exceeded')).toHaveLength(1)
  })

  it('S13 a session past its TTL holds no slot, swept or not', async () => {
    await using small = await openScene({ MAX_AGENTS_PER_ZONE: 2 })
    const stale = await small.start({ ttl_seconds: 60 })
    await small.start()
    const next = () => small.call('POST', '/agents', { json: { application_id: small.a } })
    expect((await next()).status).toBe(429)
    await small.stage.store.db.sql`
      update agent_sessions set spawned_at = now() - interval '61 seconds' where id = ${stale}`
    expect((await next()).status).toBe(201)
  })

  it('S14 a task cannot start a service', async () => {
    const parent = await z.start()
    expect(await begin({ application_id: z.a, parent_id: parent, lifecycle: 'service' })).toMatchObject(
      refusal(409, 'task_session_cannot_start_service'),
    )
  })

  it('S15 a dynamically registered application has one task session without kin', async () => {
    const { id } = await z.stage.application({
      registrationMethod: 'dcr',
      expiresAt: new Date(Date.now() + 3_600_000),
    })
    const bearer = await z.stage.mandateOf(id)
    const spawner = await z.stage.mandate({ scope: `agent:lifecycle coordinator.spawn_under:${id}` })
    const own = (extra: Record<string, unknown> = {}) => begin({ application_id: id, ...extra }, bearer)
    expect(await own({ lifecycle: 'service' })).toMatchObject(
      refusal(409, 'dcr_application_cannot_host_service'),
    )
    const parent = await z.start()
    expect(await own({ parent_id: parent })).toMatchObject(refusal(409, 'dcr_application_cannot_be_child'))
    const only = await own()
    expect(only.status).toBe(201)
    expect(await own()).toMatchObject(refusal(409, 'dcr_application_already_bound'))
    expect(await begin({ application_id: z.a, parent_id: only.body.id }, spawner)).toMatchObject(
      refusal(409, 'dcr_application_cannot_start_child'),
    )
  })

  it('a child under another application’s session needs spawn_under', async () => {
    const parent = await z.start()
    const child = { application_id: z.b, parent_id: parent }
    expect(await begin(child, z.tb)).toMatchObject(refusal(403, 'parent_ownership_required'))
    const bearer = await z.stage.mandateOf(z.b, { scope: `agent:lifecycle coordinator.spawn_under:${z.a}` })
    expect((await begin(child, bearer)).status).toBe(201)
  })

  it('S16 a body of 300 KiB: payload_too_large', async () => {
    const reply = await begin({ application_id: z.a, metadata: { fill: 'x'.repeat(300 * 1024) } })
    expect(reply).toMatchObject(refusal(413, 'payload_too_large'))
  })

  it('a body that is not JSON: unsupported_media_type', async () => {
    const reply = await z.stage.role.app.request(z.stage.at('/agents'), {
      method: 'POST',
      headers: { authorization: `Bearer ${z.ta}`, 'content-type': 'text/plain' },
      body: 'hello',
    })
    expect(reply.status).toBe(415)
    expect(await reply.json()).toMatchObject({ error: 'unsupported_media_type' })
  })

  it('S17 capabilities are labels, and lists filter by them', async () => {
    const { body } = await begin({ application_id: z.a, capabilities: ['x-label'] })
    expect(body).toMatchObject({ labels: ['x-label'], capabilities: ['x-label'] })
    const list = await z.call('GET', '/agents?label=x-label')
    expect(list.body.items.map((item: { id: string }) => item.id)).toEqual([body.id])
    const more: string[] = []
    for (let n = 0; n < 2; n += 1)
      more.unshift((await begin({ application_id: z.a, labels: ['x-label', 'y'] })).body.id)
    const first = await z.call('GET', '/agents?label=x-label&limit=2')
    expect(first.body.items.map((item: { id: string }) => item.id)).toEqual(more)
    const rest = await z.call('GET', `/agents?label=x-label&limit=2&cursor=${first.body.next_cursor}`)
    expect(rest.body.items.map((item: { id: string }) => item.id)).toEqual([body.id])
  })

  it('lists newest first in pages, and knows its cursors', async () => {
    const first = await z.call('GET', '/agents?limit=2')
    expect(first.body.items).toHaveLength(2)
    expect(first.body.next_cursor).toBe(first.body.items[1].id)
    const second = await z.call('GET', `/agents?limit=2&cursor=${first.body.next_cursor}`)
    expect(second.body.items[0].id < first.body.items[1].id).toBe(true)
    expect(await z.call('GET', '/agents?cursor=unknown')).toMatchObject(refusal(400, 'invalid_cursor'))
    for (const query of ['limit=0', 'limit=501', 'status=gone', 'lifecycle=x', 'label=%00']) {
      expect(await z.call('GET', `/agents?${query}`)).toMatchObject(refusal(400, 'invalid_query'))
    }
    const parent = await z.start()
    const child = await z.start({ parent_id: parent })
    const children = await z.call('GET', `/agents/${parent}/children?status=nonsense`)
    expect(children.body.items.map((item: { id: string }) => item.id)).toEqual([child])
    expect((await z.call('GET', '/agents/none/children')).body).toEqual({ items: [], next_cursor: null })
  })
})

const nested = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
