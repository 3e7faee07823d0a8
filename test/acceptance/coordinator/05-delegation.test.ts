import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { seedResource } from '../../fixtures/zone.ts'
import { delegations, openScene, policy, refusal, revocations, type Scene } from './scene.ts'

let z: Scene
beforeAll(async () => {
  z = await openScene({ MAX_AGENTS_PER_ZONE: 500, MAX_AGENTS_PER_APP: 500 })
})
afterAll(() => z[Symbol.asyncDispose]())

const pair = async () => [await z.start(), await z.start()] as const
const hops = (max_hops: number, extra: Record<string, unknown> = {}) => ({
  constraints: { max_hops, ...extra },
})
const expire = (id: string) =>
  z.stage.store.db.sql`update delegation_edges set expires_at = now() - interval '1 second' where id = ${id}`
const ids = (reply: { body: Record<string, unknown> }) =>
  (reply.body.items as { id: string }[]).map((item) => item.id)

describe('delegation (coordinator §18 D)', () => {
  it('D1 a root edge over a resource; the epoch starts at 1 and stays', async () => {
    await using fresh = await openScene()
    const [s1, s2, s3] = [await fresh.start(), await fresh.start(), await fresh.start()]
    const edge = await fresh.delegate(s1, s2)
    expect(edge).toMatchObject({
      id: edge.delegation_edge_id,
      resource_id: fresh.resourceId,
      source_session_id: s1,
      source_agent_id: s1,
      target_session_id: s2,
      target_agent_id: s2,
      parent_edge_id: null,
      status: 'active',
      edge_version: 0,
      revoked_at: null,
      scopes: ['read'],
      constraints_json: { ttl_seconds: 600 },
      warnings: [],
      allow_reason: [
        'same_zone_endpoints_active',
        'resource_scope_checked',
        'source_authority_root',
        'typed_constraints_validated',
      ],
      effective_authority: {
        resources: ['resource://r'],
        scopes: ['read'],
        max_hops: 1,
        ttl_seconds: 600,
        broad: false,
        parent_edges_considered: [],
      },
    })
    expect(Date.parse(edge.expires_at) - Date.now()).toBeGreaterThan(590_000)
    const stored = await fresh.edge(edge.id)
    expect((stored.expires_at as Date).toISOString()).toBe(edge.expires_at)
    expect((stored.created_at as Date).toISOString()).toBe(edge.created_at)
    expect(await fresh.epoch()).toBe(1)
    await fresh.delegate(s1, s3)
    expect(await fresh.epoch()).toBe(1)
    expect(await fresh.events(delegations, `edge_create:${edge.id}`)).toMatchObject([
      { event: 'edge_create', edge_id: edge.id, source_session_id: s1, target_session_id: s2, epoch: 1 },
    ])
    expect(await fresh.events(policy, `edge_create:${edge.id}`)).toMatchObject([
      { reason: 'delegation_change', event: 'edge_create', epoch: 1, edge_id: edge.id },
    ])
  })

  it('D2 D3 an expiry, in the future, between two sessions', async () => {
    const [s1, s2] = await pair()
    expect(await z.tryDelegate(s1, s2, { ttl_seconds: undefined })).toMatchObject(
      refusal(400, 'delegation_expiry_required'),
    )
    expect(await z.tryDelegate(s1, s2, { expires_at: '2020-01-01T00:00:00Z' })).toMatchObject(
      refusal(400, 'delegation_expired'),
    )
    for (const expires_at of ['2099-02-30T00:00:00Z', '2099-01-01T00:00:00+01:00', 'soon']) {
      expect(await z.tryDelegate(s1, s2, { expires_at })).toMatchObject(refusal(400, 'invalid_body'))
    }
    expect(await z.tryDelegate(s1, s1)).toMatchObject(refusal(400, 'self_delegation_denied'))
  })

  it.each([
    [{ speed: 1 }, 'invalid_delegation_constraint', 'speed'],
    [{ max_hops: 11 }, 'invalid_max_hops', 'max_hops'],
    [{ max_depth: 0 }, 'invalid_max_depth', 'max_depth'],
    [{ max_depth: 2, max_hops: 3 }, 'invalid_max_hops', 'max_hops'],
    [{ budget: 0 }, 'invalid_budget', 'budget'],
    [{ ttl_seconds: 0 }, 'invalid_ttl_seconds', 'ttl_seconds'],
    [{ resources: [''] }, 'invalid_resources', 'resources'],
    [{ expires_at: 'soon' }, 'invalid_expires_at', 'expires_at'],
    [{ policy_approved: 'yes' }, 'invalid_policy_approved', 'policy_approved'],
    [{ broad_reason: '' }, 'invalid_broad_reason', 'broad_reason'],
  ])('D4 the constraint %j: %s, and its name', async (constraints, code, key) => {
    const [s1, s2] = await pair()
    const reply = await z.tryDelegate(s1, s2, { constraints })
    expect(reply).toMatchObject(refusal(400, code))
    expect(reply.body.details.issues[0].path).toEqual(['constraints', key])
  })

  it('D4 a member the language treats apart is unknown like any other', async () => {
    const [s1, s2] = await pair()
    const constraints = JSON.parse('{"__proto__":{"scopes":["read"]}}')
    const reply = await z.tryDelegate(s1, s2, { constraints })
    expect(reply).toMatchObject(refusal(400, 'invalid_delegation_constraint'))
    expect(reply.body.details.issues[0].path).toEqual(['constraints', '__proto__'])
  })

  it('D4 constraints that are no object', async () => {
    const [s1, s2] = await pair()
    for (const constraints of [[], 'x', 7]) {
      expect(await z.tryDelegate(s1, s2, { constraints })).toMatchObject(
        refusal(400, 'invalid_delegation_constraint'),
      )
    }
  })

  it('D5 scopes the resource does not have, resources the zone does not have', async () => {
    const [s1, s2] = await pair()
    expect(await z.tryDelegate(s1, s2, { scopes: ['admin'] })).toMatchObject(
      refusal(403, 'delegation_scopes_exceed_resource'),
    )
    expect(await z.tryDelegate(s1, s2, { resource_id: 'resource://none' })).toMatchObject(
      refusal(404, 'resource_not_found'),
    )
    expect(await z.tryDelegate(s1, s2, { constraints: { resources: ['resource://nucleus'] } })).toMatchObject(
      refusal(400, 'delegation_resource_scope_mismatch'),
    )
  })

  it('D6 without a resource it takes a permission of its own', async () => {
    const [s1, s2] = await pair()
    expect(await z.tryDelegate(s1, s2, { resource_id: null })).toMatchObject(
      refusal(403, 'broad_delegation_permission_required'),
    )
    const bearer = await z.stage.mandate({ scope: 'agent:lifecycle coordinator.delegate_broad' })
    const broad = await z.tryDelegate(s1, s2, { resource_id: null }, { bearer })
    expect(broad).toMatchObject({
      status: 201,
      body: {
        warnings: ['resource_null_delegation_broadens_resource_matching'],
        constraints_json: { broad_reason: 'resource_null_delegation', policy_approved: true },
        effective_authority: { broad: true },
      },
    })
    const active = await z.call('GET', '/delegations/active?limit=1')
    expect(active.body.items[0]).toMatchObject({ broad_reason: 'resource_null_delegation' })
  })

  it('D7 D8 only its issuer delegates, between live sessions of the applications named', async () => {
    const [s1, s2] = await pair()
    expect(await z.tryDelegate(s1, s2, {}, { bearer: z.tb })).toMatchObject(
      refusal(403, 'issuer_ownership_required'),
    )
    expect(await z.tryDelegate(s1, s2, { receiver_application_id: z.b })).toMatchObject(
      refusal(409, 'delegation_application_mismatch'),
    )
    await z.call('DELETE', `/agents/${s2}`)
    expect(await z.tryDelegate(s1, s2)).toMatchObject(refusal(404, 'delegation_endpoint_not_found'))
    const s3 = await z.start()
    await z.stage.store.db.sql`
      update agent_sessions set spawned_at = now() - interval '2 hours' where id = ${s3}`
    expect(await z.tryDelegate(s1, s3)).toMatchObject(refusal(404, 'delegation_endpoint_not_found'))
  })

  it('D9 no way leads back: delegation_cycle_denied', async () => {
    const [s1, s2] = await pair()
    await z.delegate(s1, s2, hops(2))
    expect(await z.tryDelegate(s2, s1, { ttl_seconds: 60 })).toMatchObject(
      refusal(409, 'delegation_cycle_denied'),
    )
  })

  it('D10 hops are handed down', async () => {
    const [s1, s2] = await pair()
    const s3 = await z.start()
    await z.delegate(s1, s2)
    expect(await z.tryDelegate(s2, s3)).toMatchObject(refusal(403, 'delegation_exceeds_parent_authority'))
    const [t1, t2] = await pair()
    const parent = await z.delegate(t1, t2, hops(2))
    const child = await z.delegate(t2, s3, { ...hops(1), ttl_seconds: 60 })
    expect(child).toMatchObject({ parent_edge_id: parent.id })
    expect(child.allow_reason).toContain('parent_authority_narrowed')
  })

  it('D11 a child never holds more than its parent', async () => {
    const other = await seedResource(z.stage.store.db, z.stage.zone.zoneId, {
      providerId: z.stage.zone.providerId,
      identifier: 'resource://other',
      scopes: ['read'],
    })
    const [s1, s2] = await pair()
    const s3 = await z.start()
    await z.delegate(s1, s2, hops(3, { budget: 1 }))
    const narrow = { ...hops(1, { ttl_seconds: 60 }), ttl_seconds: 60 }
    for (const excess of [
      { scopes: ['read', 'write'] },
      { resource_id: other.id },
      { ttl_seconds: 900 },
      hops(1, { ttl_seconds: 60, budget: 2 }),
      { ttl_seconds: undefined, expires_at: new Date(Date.now() + 60_000).toISOString(), constraints: {} },
      hops(3, { ttl_seconds: 60 }),
    ]) {
      const reply = await z.tryDelegate(s2, s3, { ...narrow, ...excess })
      expect(reply, JSON.stringify(excess)).toMatchObject(refusal(403, 'delegation_exceeds_parent_authority'))
    }
    expect((await z.tryDelegate(s2, s3, narrow)).status).toBe(201)
  })

  it('D12 with several parents one must be named, and be live', async () => {
    const [s1, s2] = await pair()
    const [s3, s4] = await pair()
    const first = await z.delegate(s1, s3, hops(2))
    await z.delegate(s2, s3, hops(2))
    const narrow = { ttl_seconds: 60 }
    expect(await z.tryDelegate(s3, s4, narrow)).toMatchObject(refusal(409, 'parent_delegation_ambiguous'))
    expect(await z.tryDelegate(s3, s4, { ...narrow, parent_edge_id: 'none' })).toMatchObject(
      refusal(403, 'parent_delegation_not_active'),
    )
    expect(await z.tryDelegate(s1, s4, { ...narrow, parent_edge_id: 'none' })).toMatchObject(
      refusal(403, 'parent_delegation_not_active'),
    )
    const named = await z.delegate(s3, s4, { ...narrow, parent_edge_id: first.id })
    expect(named.parent_edge_id).toBe(first.id)
  })

  it('D13 a child inherits its parent’s one edge as it is', async () => {
    const [s1, s2] = await pair()
    const edge = await z.delegate(s1, s2, hops(2))
    const epoch = await z.epoch()
    const started = await z.call('POST', '/agents', { json: { application_id: z.a, parent_id: s2 } })
    expect(started.status).toBe(201)
    const mirror = await z.edge(started.body.delegation_edge_id)
    const source = await z.edge(edge.id)
    for (const name of ['scopes', 'resource_id', 'constraints_json', 'expires_at']) {
      expect(mirror[name]).toEqual(source[name])
    }
    expect(mirror).toMatchObject({
      parent_edge_id: edge.id,
      source_agent_id: s2,
      target_agent_id: started.body.id,
    })
    expect(await z.epoch()).toBe(epoch)
    expect(await z.events(delegations, `edge_create:${mirror.id}`)).toHaveLength(1)
  })

  it('D14 what cannot be inherited: not active, ambiguous, not wanted', async () => {
    const [s1, s2] = await pair()
    const edge = await z.delegate(s1, s2)
    const child = (body: Record<string, unknown> = {}) =>
      z.call('POST', '/agents', { json: { application_id: z.a, parent_id: s2, ...body } })
    await expire(edge.id)
    expect(await child()).toMatchObject(refusal(409, 'inherit_parent_edge_not_active'))
    expect(await child({ inherit_parent_edge_id: 'none' })).toMatchObject(
      refusal(409, 'inherit_parent_edge_not_active'),
    )
    const one = await z.delegate(s1, s2)
    await z.delegate(await z.start(), s2)
    expect(await child()).toMatchObject(refusal(409, 'inherit_parent_edge_ambiguous'))
    expect((await child({ inherit_parent_edge_id: one.id })).status).toBe(201)
    expect(await child({ parent_authority: 'none' })).toMatchObject({
      status: 201,
      body: { delegation_edge_id: null },
    })
  })

  it('D15 the seed’s form', async () => {
    const [s1, s2] = await pair()
    const bare = await z.call('POST', '/delegations', {
      json: { source_agent_id: s1, target_agent_id: s2 },
    })
    expect(bare).toMatchObject({
      status: 201,
      body: { scopes: [], issuer_application_id: z.a, receiver_application_id: z.a },
    })
    expect(Date.parse(bare.body.expires_at) - Date.now()).toBeGreaterThan(3_590_000)
    const scoped = await z.call('POST', '/delegations', {
      json: {
        source_agent_id: s1,
        target_agent_id: s2,
        constraints_json: { scopes: ['read'], resources: ['resource://r'] },
      },
    })
    expect(scoped).toMatchObject({ status: 201, body: { scopes: ['read'] } })
    expect(scoped.body.constraints_json).toEqual({ resources: ['resource://r'] })
    const none = await z.call('POST', '/delegations', { json: { source_agent_id: s1 } })
    expect(none).toMatchObject(refusal(400, 'invalid_body'))
  })

  it('D16 lists show each application its own', async () => {
    const [s1, s2] = await pair()
    const edge = await z.delegate(s1, s2)
    for (const path of [
      '/delegations',
      '/delegations/active',
      `/delegations/inbound/${s2}`,
      `/delegations/outbound/${s1}`,
      `/delegations?source_agent_id=${s1}&status=active`,
    ]) {
      const reply = await z.call('GET', path)
      expect(ids(reply)).toContain(edge.id)
      expect(reply.body).toHaveProperty('next_cursor')
    }
    expect((await z.call('GET', '/delegations', { bearer: z.tb })).body.items).toEqual([])
    expect(await z.call('GET', `/delegations?cursor=${edge.id}`, { bearer: z.tb })).toMatchObject(
      refusal(400, 'invalid_cursor'),
    )
    expect(ids(await z.call('GET', '/delegations', { bearer: z.op }))).toContain(edge.id)
    for (const path of [`/delegations/inbound/${s2}`, `/delegations/outbound/${s1}`]) {
      expect(await z.call('GET', path, { bearer: z.tb })).toMatchObject(refusal(404, 'session_not_found'))
    }
  })

  it('D17 one inbound edge, live or not', async () => {
    const [s1, s2] = await pair()
    const edge = await z.delegate(s1, s2)
    const path = `/delegations/inbound/${s2}/${edge.id}`
    expect((await z.call('GET', path)).body).toEqual({
      id: edge.id,
      status: 'active',
      expires_at: edge.expires_at,
    })
    expect(await z.call('GET', path, { bearer: z.tb })).toMatchObject(refusal(404, 'delegation_not_found'))
    await z.call('PATCH', `/delegations/${edge.id}/revoke`)
    expect(await z.call('GET', path)).toMatchObject(refusal(404, 'delegation_not_found'))
  })

  it('D18 a revocation ends what was built on the edge, under one epoch', async () => {
    const [s1, s2] = await pair()
    const s3 = await z.start()
    const below = await z.start({ parent_id: s3 })
    const e1 = await z.delegate(s1, s2, hops(2))
    const e2 = await z.delegate(s2, s3, { ttl_seconds: 60 })
    const epoch = (await z.epoch()) ?? 0
    const reply = await z.call('PATCH', `/delegations/${e1.id}/revoke`)
    expect(reply).toMatchObject({
      status: 200,
      body: { revoked_edges: 2, terminated_sessions: 3, terminated_agents: 3, affected_sessions: 1 },
    })
    for (const id of [s2, s3]) {
      expect(await z.session(id)).toMatchObject({
        status: 'terminated',
        termination_reason: 'delegation_revoked',
      })
    }
    expect((await z.session(below)).termination_reason).toBe('parent_terminated')
    expect((await z.session(s1)).status).toBe('active')
    for (const [edge, target] of [
      [e1, s2],
      [e2, s3],
    ] as const) {
      expect(await z.events(revocations, `delegation:${edge.id}:`)).toMatchObject([
        { delegation_edge_id: edge.id, agent_session_id: target, reason: 'delegation_revoked' },
      ])
      expect(await z.events(delegations, `edge_revoke:${edge.id}`)).toMatchObject([
        { affected_edges: 2, epoch: epoch + 1 },
      ])
    }
    expect(await z.epoch()).toBe(epoch + 1)
    expect(await z.events(policy, `delegation_epoch:${z.stage.zone.zoneId}:${epoch + 1}`)).toHaveLength(1)
  })

  it('the evidence of an edge names the authority record its target stands on', async () => {
    const [s1, s2] = await pair()
    const record = await z.userRecord()
    await z.stage.store.db.sql`update agent_sessions set session_sid = ${record} where id = ${s2}`
    const edge = await z.delegate(s1, s2, hops(2))
    const started = await z.call('POST', '/agents', { json: { application_id: z.a, parent_id: s2 } })
    const mirror = started.body.delegation_edge_id
    await z.call('DELETE', `/agents/${started.body.id}`)
    await z.call('PATCH', `/delegations/${edge.id}/revoke`)
    const evidence = (await z.events('caracal.audit.events')).flatMap(({ data }) => {
      const { event_type, metadata_json: metadata } = JSON.parse(String(data))
      return [edge.id, mirror].includes(metadata.delegation_edge_id)
        ? [[event_type, metadata.delegation_edge_id, metadata.session_id]]
        : []
    })
    const own = started.body.subject_authority_record_id
    expect(evidence.sort()).toEqual(
      [
        ['delegation_create', edge.id, record],
        ['delegation_create', mirror, own],
        ['delegation_revoke', edge.id, record],
        ['delegation_revoke', mirror, own],
      ].sort(),
    )
    expect(own).not.toBe(record)
  })

  it('D19 DELETE is the same; again there is nothing', async () => {
    const [s1, s2] = await pair()
    const edge = await z.delegate(s1, s2)
    expect(await z.call('DELETE', `/delegations/${edge.id}`, { bearer: z.tb })).toMatchObject(
      refusal(403, 'issuer_ownership_required'),
    )
    expect((await z.call('DELETE', `/delegations/${edge.id}`)).body).toMatchObject({ revoked_edges: 1 })
    expect(await z.call('DELETE', `/delegations/${edge.id}`)).toMatchObject(
      refusal(404, 'delegation_not_found'),
    )
    expect(await z.call('PATCH', '/delegations/none/revoke')).toMatchObject(
      refusal(404, 'delegation_not_found'),
    )
  })

  it('D20 traverse and impact are the operator’s', async () => {
    const [s1, s2] = await pair()
    const s3 = await z.start()
    const e1 = await z.delegate(s1, s2, hops(2))
    const e2 = await z.delegate(s2, s3, { ttl_seconds: 60 })
    const admin = { bearer: z.op }
    for (const what of ['traverse', 'impact']) {
      expect(await z.call('GET', `/delegations/${e1.id}/${what}`)).toMatchObject(
        refusal(403, 'coordinator_admin_required'),
      )
    }
    const edges = [
      { id: e1.id, source_session_id: s1, target_session_id: s2, depth: 1 },
      { id: e2.id, source_session_id: s2, target_session_id: s3, depth: 2 },
    ]
    expect((await z.call('GET', `/delegations/${e1.id}/traverse`, admin)).body).toEqual(edges)
    expect((await z.call('GET', '/delegations/none/traverse', admin)).body).toEqual([])
    const { body } = await z.call('GET', `/delegations/${e1.id}/impact`, admin)
    expect(body).toMatchObject({ edge_id: e1.id, affected_edges: edges, affected_sessions: [s2, s3] })
    expect(body.affected_agents).toEqual(body.affected_sessions)
    expect(body.affected_subject_sessions).toEqual(body.affected_authority_records)
    expect(body.affected_authority_records).toHaveLength(1)
    expect(await z.call('GET', '/delegations/none/impact', admin)).toMatchObject(
      refusal(404, 'delegation_not_found'),
    )
  })

  it('D21 two edges together are what both allow', async () => {
    const [s1, s2] = await pair()
    const s3 = await z.start()
    const wide = await z.delegate(s1, s3, { ...hops(3), scopes: ['read', 'write'] })
    const small = await z.delegate(s2, s3, { ...hops(2), ttl_seconds: 60 })
    const { body } = await z.call('GET', `/agents/${s3}/effective-authority`)
    expect(body).toEqual({
      agent_session_id: s3,
      inbound_edges: [wide.id, small.id],
      effective_scopes: ['read'],
      effective_resource_ids: [z.resourceId],
      effective_resources: ['resource://r'],
      effective_resource_constrained: true,
      effective_max_hops: 2,
      effective_ttl_seconds: 60,
      earliest_expires_at: small.expires_at,
    })
    const archive = (at: string | null) =>
      z.stage.store.db.sql`update resources set archived_at = ${at} where id = ${z.resourceId}`
    await archive(new Date().toISOString())
    const archived = await z.call('GET', `/agents/${s3}/effective-authority`)
    await archive(null)
    expect(archived.body, 'a bound edge stays bound').toEqual(body)
    expect((await z.call('GET', `/agents/${s1}/effective-authority`)).body).toMatchObject({
      inbound_edges: [],
      effective_max_hops: 0,
      earliest_expires_at: null,
    })
    expect(await z.call('GET', `/agents/${s3}/effective-authority`, { bearer: z.tb })).toMatchObject(
      refusal(404, 'session_not_found'),
    )
  })

  it('D22 an expired edge ends its authority and leaves its sessions alive', async () => {
    await using fresh = await openScene()
    const [s1, s2] = [await fresh.start(), await fresh.start()]
    const edges = [await fresh.delegate(s1, s2), await fresh.delegate(s1, s2)]
    const sql = fresh.stage.store.db.sql
    await sql`update delegation_edges set expires_at = now() - interval '1 second'`
    await fresh.stage.run('retention_cleaner')
    await fresh.stage.run('retention_cleaner')
    for (const edge of edges) expect((await fresh.edge(edge.id)).status).toBe('expired')
    expect(await fresh.epoch()).toBe(2)
    const expired = await fresh.events(delegations, 'edge_expire:')
    expect(expired).toMatchObject([{ affected_edges: 2, epoch: 2 }])
    expect(expired[0]?.edge_ids).toHaveLength(2)
    expect(expired[0]?.edge_ids).toEqual(expect.arrayContaining(edges.map((edge) => edge.id)))
    for (const id of [s1, s2]) expect((await fresh.session(id)).status).toBe('active')
    expect(await fresh.call('DELETE', `/delegations/${edges[0]?.id}`)).toMatchObject(
      refusal(404, 'delegation_not_found'),
    )
  })
})
