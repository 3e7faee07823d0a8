import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lifecycle, openScene, refusal, revocations, type Scene } from './scene.ts'

let z: Scene
beforeAll(async () => {
  z = await openScene({ MAX_AGENTS_PER_ZONE: 500 })
})
afterAll(() => z[Symbol.asyncDispose]())

async function tree(): Promise<[root: string, child: string, grandchild: string]> {
  const root = await z.start()
  const child = await z.start({ parent_id: root })
  return [root, child, await z.start({ parent_id: child })]
}

const sql = () => z.stage.store.db.sql
const lapse = (id: string) =>
  sql()`update agent_sessions set heartbeat_deadline_at = now() - interval '1 second' where id = ${id}`
const beat = (id: string, json: unknown, bearer = z.ta) =>
  z.call('POST', `/agents/${id}/heartbeat`, { json, bearer })

describe('lifecycle (coordinator §18 L)', () => {
  it('L1 L2 L3 suspend and resume a tree, again and again', async () => {
    const [root, ...below] = await tree()
    const suspended = await z.call('POST', `/agents/${root}/suspend`)
    expect(suspended).toMatchObject({ status: 200, body: { suspended: 3, id: root, status: 'suspended' } })
    for (const id of below) {
      expect(await z.session(id)).toMatchObject({ status: 'suspended', suspended_at: expect.any(Date) })
    }
    expect(await z.events(lifecycle, `suspend:${root}:`)).toHaveLength(1)
    expect(await z.events(revocations)).toHaveLength(0)
    expect(await z.call('PATCH', `/agents/${root}/suspend`)).toMatchObject(
      refusal(409, 'session_not_found_or_not_active'),
    )
    expect((await z.call('PATCH', `/agents/${root}/resume`)).body).toMatchObject({
      resumed: 3,
      status: 'active',
    })
    expect(await z.call('POST', `/agents/${root}/resume`)).toMatchObject(
      refusal(409, 'session_not_found_or_not_suspended'),
    )
    await z.call('POST', `/agents/${root}/suspend`)
    await z.call('POST', `/agents/${root}/resume`)
    expect(await z.events(lifecycle, `suspend:${root}:`)).toHaveLength(2)
    expect(await z.events(lifecycle, `resume:${root}:`)).toHaveLength(2)
    expect(await z.call('POST', '/agents/none/suspend')).toMatchObject(refusal(404, 'session_not_found'))
    expect(await z.call('POST', `/agents/${root}/suspend`, { bearer: z.tb })).toMatchObject(
      refusal(403, 'application_ownership_required'),
    )
  })

  it('L4 terminate ends the tree and its edges, and names nothing that lives', async () => {
    const [root, child, grandchild] = await tree()
    const outside = await z.start()
    const within = await z.delegate(root, child)
    const outward = await z.delegate(root, outside)
    const epoch = await z.epoch()
    expect((await z.call('DELETE', `/agents/${root}`)).status).toBe(204)
    expect(await z.session(root)).toMatchObject({ status: 'terminated', termination_reason: 'requested' })
    for (const id of [child, grandchild]) {
      expect(await z.session(id)).toMatchObject({
        status: 'terminated',
        termination_reason: 'parent_terminated',
      })
    }
    for (const id of [root, child, grandchild]) {
      expect(await z.events(lifecycle, `terminate:${id}`)).toHaveLength(1)
      // An application's record is never revoked by the end of one session.
      expect(await z.events(revocations, `agent_terminate:${id}`)).toEqual([
        expect.not.objectContaining({ session_id: expect.anything() }),
      ])
    }
    for (const edge of [within, outward]) expect((await z.edge(edge.id)).status).toBe('revoked')
    expect(await z.epoch()).toBe((epoch ?? 0) + 1)
    expect(await z.events(revocations, `delegation:${within.id}:session:${child}`)).toMatchObject([
      { delegation_edge_id: within.id, agent_session_id: child },
    ])
    expect(await z.events(revocations, `delegation:${outward.id}:session:${outside}`)).toEqual([
      expect.not.objectContaining({ agent_session_id: expect.anything() }),
    ])
    expect((await z.session(outside)).status).toBe('active')
    const [row] = await sql()<{ n: number }[]>`
      select count(*)::int as n from caracal_outbox
      where topic = 'caracal.audit.events' and request_id in (
        select request_id from caracal_outbox where dedupe_key = ${`terminate:${root}`})`
    expect(row?.n).toBe(5)
  })

  it('a federated user’s record ends with the last session that stands on it', async () => {
    const record = await z.userRecord()
    const [one, two] = [await z.start(), await z.start()]
    await sql()`update agent_sessions set session_sid = ${record} where id in (${one}, ${two})`
    await z.call('DELETE', `/agents/${one}`)
    expect((await z.events(revocations, `agent_terminate:${one}`))[0]).not.toHaveProperty('session_id')
    await z.call('DELETE', `/agents/${two}`)
    expect(await z.events(revocations, `agent_terminate:${two}`)).toMatchObject([{ session_id: record }])
  })

  it('L5 terminate again, of nothing, for an empty and for an endless reason', async () => {
    const id = await z.start()
    expect((await z.call('DELETE', `/agents/${id}?reason=two%0Alines`)).status).toBe(204)
    expect((await z.events(lifecycle, `terminate:${id}`))[0]?.reason).toBe('two lines')
    expect(await z.call('DELETE', `/agents/${id}`)).toMatchObject(refusal(404, 'session_not_found'))
    expect(await z.call('DELETE', '/agents/none')).toMatchObject(refusal(404, 'session_not_found'))
    for (const reason of ['', 'x'.repeat(257)]) {
      expect(await z.call('DELETE', `/agents/${id}?reason=${reason}`)).toMatchObject(
        refusal(400, 'invalid_query'),
      )
    }
  })

  it('L6 a service ends by its current lease, or by the operator', async () => {
    const id = await z.start({ lifecycle: 'service' })
    expect(await z.call('DELETE', `/agents/${id}`)).toMatchObject(refusal(400, 'lease_generation_required'))
    const end = (lease_generation: unknown) =>
      z.call('DELETE', `/agents/${id}`, { json: { lease_generation } })
    expect(await end(2)).toMatchObject(refusal(409, 'session_lease_fenced'))
    expect(await end(0)).toMatchObject(refusal(400, 'invalid_body'))
    expect((await end(1)).status).toBe(204)
    const other = await z.start({ lifecycle: 'service' })
    expect((await z.call('DELETE', `/agents/${other}`, { bearer: z.op })).status).toBe(204)
  })

  it('an array is no object: nothing ends and nothing is renewed by one', async () => {
    const id = await z.start()
    expect(await z.call('DELETE', `/agents/${id}`, { json: [] })).toMatchObject(refusal(400, 'invalid_body'))
    expect((await z.session(id)).status).toBe('active')
    const service = await z.start({ lifecycle: 'service' })
    expect(await beat(service, { lease_generation: 1, metadata: [1] })).toMatchObject(
      refusal(400, 'invalid_body'),
    )
  })

  it('L7 a lease taken over fences the earlier holder', async () => {
    const id = await z.start({ lifecycle: 'service' })
    const lease = await z.call('POST', `/agents/${id}/lease`)
    expect(lease).toMatchObject({ status: 200, body: { status: 'active', lease_generation: 2 } })
    expect(await beat(id, { lease_generation: 1 })).toMatchObject(refusal(409, 'session_lease_fenced'))
    const renewed = await beat(id, { lease_generation: 2, active_invocations: 3 })
    expect(renewed).toMatchObject({
      status: 200,
      body: { agent: { id, lease_generation: 2, status: 'active' }, service: null, active_invocations: 3 },
    })
    expect(await z.call('POST', '/agents/none/lease')).toMatchObject(refusal(404, 'session_not_found'))
    expect(await z.call('POST', `/agents/${id}/lease`, { bearer: z.tb })).toMatchObject(
      refusal(403, 'application_ownership_required'),
    )
  })

  it('L7 of takeovers at one moment each has its own generation', async () => {
    const id = await z.start({ lifecycle: 'service' })
    const taken = await Promise.all(Array.from({ length: 8 }, () => z.call('POST', `/agents/${id}/lease`)))
    expect(taken.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200))
    const generations = taken.map(({ body }) => body.lease_generation).sort((a, b) => a - b)
    expect(generations).toEqual([2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('L8 heartbeats of a task, without a generation, of an ended session', async () => {
    const task = await z.start()
    expect(await beat(task, { lease_generation: 1 })).toMatchObject(refusal(409, 'session_not_service'))
    expect(await z.call('POST', `/agents/${task}/lease`)).toMatchObject(refusal(409, 'session_not_service'))
    const service = await z.start({ lifecycle: 'service' })
    expect(await beat(service, {})).toMatchObject(refusal(400, 'invalid_body'))
    await z.call('DELETE', `/agents/${service}`, { bearer: z.op })
    expect(await beat(service, { lease_generation: 1 })).toMatchObject(refusal(409, 'session_not_live'))
    expect(await z.call('POST', `/agents/${service}/lease`)).toMatchObject(refusal(409, 'session_not_live'))
  })

  it('L9 a missed lease suspends by the sweep; after a resume the lease can be had again', async () => {
    const id = await z.start({ lifecycle: 'service' })
    const child = await z.start({ parent_id: id })
    await lapse(id)
    await z.stage.run('service_lease_sweeper')
    expect((await z.session(id)).status).toBe('suspended')
    expect((await z.session(child)).status).toBe('suspended')
    expect(await z.events(lifecycle, `suspend:${id}:`)).toMatchObject([{ reason: 'service_heartbeat_lost' }])
    expect(await z.call('POST', `/agents/${id}/lease`)).toMatchObject(refusal(409, 'session_suspended'))
    await z.call('POST', `/agents/${id}/resume`)
    expect((await z.call('POST', `/agents/${id}/lease`)).body.lease_generation).toBe(2)
  })

  it('a missed lease is found by whoever calls first', async () => {
    const [beaten, taken] = [await z.start({ lifecycle: 'service' }), await z.start({ lifecycle: 'service' })]
    await lapse(beaten)
    await lapse(taken)
    expect(await beat(beaten, { lease_generation: 1 })).toMatchObject(refusal(409, 'session_lease_expired'))
    expect(await z.call('POST', `/agents/${taken}/lease`)).toMatchObject(
      refusal(409, 'session_lease_expired'),
    )
    for (const id of [beaten, taken]) expect((await z.session(id)).status).toBe('suspended')
  })

  it('L10 a suspended service keeps its lease by heartbeats', async () => {
    const id = await z.start({ lifecycle: 'service' })
    await z.call('POST', `/agents/${id}/suspend`)
    await lapse(id)
    const reply = await beat(id, { lease_generation: 1 })
    expect(reply).toMatchObject({ status: 200, body: { agent: { status: 'suspended' } } })
    expect(Date.parse(reply.body.agent.heartbeat_deadline_at)).toBeGreaterThan(Date.now())
  })

  it('L11 a dead federated subject ends the session', async () => {
    const record = await z.userRecord()
    const ids = [await z.start({ lifecycle: 'service' }), await z.start({ lifecycle: 'service' })] as const
    await sql()`update agent_sessions set session_sid = ${record} where id in ${sql()([...ids])}`
    await sql()`update authority_records set status = 'revoked', revoked_at = now() where id = ${record}`
    expect(await beat(ids[0], { lease_generation: 1 })).toMatchObject(
      refusal(409, 'session_subject_inactive'),
    )
    expect(await z.call('POST', `/agents/${ids[1]}/lease`)).toMatchObject(
      refusal(409, 'session_subject_inactive'),
    )
    for (const id of ids) {
      expect(await z.session(id)).toMatchObject({
        status: 'terminated',
        termination_reason: 'subject_authority_inactive',
      })
    }
  })

  it('a lease is held by an application’s own record', async () => {
    const id = await z.start({ lifecycle: 'service' })
    const without = await z.stage.mandate({ sid: undefined })
    expect(await beat(id, { lease_generation: 1 }, without)).toMatchObject(
      refusal(401, 'authority_record_required'),
    )
    const user = await z.stage.mandate({ sid: await z.userRecord() })
    expect(await beat(id, { lease_generation: 1 }, user)).toMatchObject(refusal(401, 'identity_revoked'))
    expect(await z.call('POST', `/agents/${id}/lease`, { bearer: user })).toMatchObject(
      refusal(401, 'identity_revoked'),
    )
  })

  it('L12 a task past its TTL ends by the sweep, and is found as expired', async () => {
    const [root, child] = await tree()
    const suspended = await z.start()
    await z.call('POST', `/agents/${suspended}/suspend`)
    await sql()`
      update agent_sessions set spawned_at = now() - interval '2 hours' where id in (${root}, ${suspended})`
    await z.stage.run('ttl_sweeper')
    expect(await z.session(root)).toMatchObject({ status: 'terminated', termination_reason: 'ttl' })
    expect(await z.session(suspended)).toMatchObject({ status: 'terminated', termination_reason: 'ttl' })
    expect((await z.session(child)).termination_reason).toBe('parent_terminated')
    const list = await z.call('GET', '/agents?status=expired')
    const ids = list.body.items.map((item: { id: string }) => item.id)
    expect(ids.sort()).toEqual([root, suspended].sort())
  })

  it('a sweep goes on until nothing is left, however much is overdue', async () => {
    await using scene = await openScene({ SWEEPER_BATCH_SIZE: 2 })
    const db = scene.stage.store.db
    for (let n = 0; n < 5; n += 1) {
      await scene.start()
      await scene.start({ lifecycle: 'service' })
    }
    await db.sql`update agent_sessions set spawned_at = now() - interval '2 hours' where lifecycle = 'task'`
    await db.sql`
      update agent_sessions set heartbeat_deadline_at = now() - interval '1 second' where lifecycle = 'service'`
    await scene.stage.run('ttl_sweeper')
    await scene.stage.run('service_lease_sweeper')
    const left = await db.sql`
      select lifecycle, status, count(*)::int as n from agent_sessions group by 1, 2 order by 1`
    expect([...left]).toEqual([
      { lifecycle: 'service', status: 'suspended', n: 5 },
      { lifecycle: 'task', status: 'terminated', n: 5 },
    ])
  })

  it('L12 a task past its TTL below another one was not ended by that one', async () => {
    const [root, child, grandchild] = await tree()
    await sql()`
      update agent_sessions set spawned_at = now() - interval '2 hours' where id in (${root}, ${grandchild})`
    await z.stage.run('ttl_sweeper')
    const reasons = await Promise.all(
      [root, child, grandchild].map(async (id) => (await z.session(id)).termination_reason),
    )
    expect(reasons).toEqual(['ttl', 'parent_terminated', 'ttl'])
    const [ended] = await z.events(lifecycle, `terminate:${grandchild}`)
    expect(ended?.reason).toBe('ttl')
  })

  it('L13 a child never outlives the parent it was started under', async () => {
    for (let round = 0; round < 5; round += 1) {
      const parent = await z.start()
      const starts = Array.from({ length: 6 }, () =>
        z.call('POST', '/agents', { json: { application_id: z.a, parent_id: parent } }),
      )
      const [ended, ...replies] = await Promise.all([z.call('DELETE', `/agents/${parent}`), ...starts])
      expect(ended.status).toBe(204)
      for (const reply of replies) expect([201, 404]).toContain(reply.status)
      const live = await sql()`
        select 1 from agent_sessions where parent_id = ${parent} and status in ('active', 'suspended')`
      expect(live).toHaveLength(0)
    }
  })

  it('L14 an ended child makes room for another', async () => {
    const parent = await z.start()
    const children = []
    for (let child = 0; child < 10; child += 1) children.push(await z.start({ parent_id: parent }))
    await z.call('DELETE', `/agents/${children[0]}`)
    expect((await z.session(parent)).child_count).toBe(9)
    await z.start({ parent_id: parent })
  })
})
