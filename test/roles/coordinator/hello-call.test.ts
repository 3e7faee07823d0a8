import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createStage, type Stage } from './stage.ts'

let stage: Stage
let bearer: string
beforeAll(async () => {
  stage = await createStage()
  bearer = await stage.mandate()
})
afterAll(() => stage[Symbol.asyncDispose]())

const agents = () => `/zones/${stage.zone.zoneId}/agents`
const delegations = () => `/zones/${stage.zone.zoneId}/delegations`

async function start(extra: Record<string, unknown> = {}): Promise<string> {
  const reply = await stage.call('POST', agents(), {
    bearer,
    json: { application_id: stage.zone.application.id, ttl_seconds: 1020, labels: ['x'], ...extra },
  })
  expect(reply.status, JSON.stringify(reply.body)).toBe(201)
  return String(reply.body.agent_session_id)
}

function delegation(source: string, target: string, extra: Record<string, unknown> = {}) {
  const { id } = stage.zone.application
  return {
    issuer_application_id: id,
    receiver_application_id: id,
    source_session_id: source,
    target_session_id: target,
    scopes: ['nucleus:pay'],
    constraints: { resources: ['resource://nucleus'] },
    ttl_seconds: 1020,
    ...extra,
  }
}

describe('the hello call of the v1 SDKs', () => {
  it('starts two sessions, delegates between them and ends them', async () => {
    const source = await start()
    const target = await start()
    const made = await stage.call('POST', delegations(), { bearer, json: delegation(source, target) })
    expect(made.status, JSON.stringify(made.body)).toBe(201)
    expect(made.body).toMatchObject({
      scopes: ['nucleus:pay'],
      parent_edge_id: null,
      status: 'active',
      warnings: [],
      effective_authority: { resources: ['resource://nucleus'], max_hops: 1, broad: false },
    })
    expect(made.body.delegation_edge_id).toBe(made.body.id)
    for (const session of [source, target]) {
      const ended = await stage.call('DELETE', `${agents()}/${session}`, { bearer })
      expect(ended.status).toBe(204)
    }
    const [edge] = await stage.store.db.sql`
      select status, edge_version from delegation_edges where id = ${String(made.body.id)}`
    expect(edge).toMatchObject({ status: 'revoked', edge_version: 1 })
    const actions = await stage.store.db.sql<{ action: string; entity_id: string; chain_seq: string }[]>`
      select action, entity_id, chain_seq from admin_audit_events where status_code < 300 order by chain_seq`
    expect(actions.map((row) => row.entity_id)).toEqual([
      source,
      target,
      String(made.body.id),
      source,
      target,
    ])
    const topics = await stage.store.db.sql<{ topic: string; count: number }[]>`
      select topic, count(*)::int as count from caracal_outbox group by topic order by topic`
    expect(Object.fromEntries(topics.map((row) => [row.topic, row.count]))).toMatchObject({
      'caracal.agents.lifecycle': 4,
      'caracal.sessions.revoke': 3,
      'caracal.delegations.invalidate': 2,
      'caracal.policy.invalidate': 2,
    })
  })

  it('answers a repeated start from its receipt and refuses another request under the same key', async () => {
    const json = { application_id: stage.zone.application.id, ttl_seconds: 60 }
    const headers = { 'idempotency-key': 'delivery-42' }
    const [first, second] = await Promise.all([
      stage.call('POST', agents(), { bearer, json, headers }),
      stage.call('POST', agents(), { bearer, json, headers }),
    ])
    expect([first.status, second.status]).toEqual([201, 201])
    expect(first.body.agent_session_id).toBe(second.body.agent_session_id)
    expect(
      [first, second].filter((reply) => reply.headers.get('idempotency-replayed') === 'true'),
    ).toHaveLength(1)
    const other = await stage.call('POST', agents(), { bearer, json: { ...json, ttl_seconds: 61 }, headers })
    expect(other).toMatchObject({ status: 409, body: { error: 'idempotency_key_conflict' } })
  })
})

describe('authority only narrows', () => {
  it.each([
    ['scopes', { scopes: ['nucleus:other'] }, 403, 'delegation_scopes_exceed_resource'],
    [
      'an unknown constraint',
      { constraints: { resources: ['resource://nucleus'], speed: 1 } },
      400,
      'invalid_delegation_constraint',
    ],
    ['an unknown resource', { constraints: { resources: ['resource://other'] } }, 404, 'resource_not_found'],
    ['no resource', { constraints: {} }, 403, 'broad_delegation_permission_required'],
    ['no expiry', { ttl_seconds: undefined }, 400, 'delegation_expiry_required'],
  ])('refuses %s', async (_what, extra, status, error) => {
    const [source, target] = [await start(), await start()]
    const reply = await stage.call('POST', delegations(), { bearer, json: delegation(source, target, extra) })
    expect(reply).toMatchObject({ status, body: { error } })
  })

  it('refuses a hop more than the parent allows, and a cycle', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    const once = await stage.call('POST', delegations(), { bearer, json: delegation(a, b) })
    expect(once.status).toBe(201)
    const again = await stage.call('POST', delegations(), { bearer, json: delegation(b, c) })
    expect(again).toMatchObject({ status: 403, body: { error: 'delegation_exceeds_parent_authority' } })
    const constraints = { resources: ['resource://nucleus'], max_hops: 2 }
    const [d, e] = [await start(), await start()]
    expect(
      (await stage.call('POST', delegations(), { bearer, json: delegation(d, e, { constraints }) })).status,
    ).toBe(201)
    const back = await stage.call('POST', delegations(), {
      bearer,
      json: delegation(e, d, {
        ttl_seconds: 60,
        constraints: { resources: ['resource://nucleus'], ttl_seconds: 60 },
      }),
    })
    expect(back).toMatchObject({ status: 409, body: { error: 'delegation_cycle_denied' } })
  })
})

describe('who may call', () => {
  it.each([
    ['no token', () => undefined, 401, 'missing_token'],
    ['a gateway mandate', () => stage.mandate({ use: 'gateway' }), 401, 'invalid_token'],
    ['an expired mandate', () => stage.mandate({ exp: 1 }), 401, 'invalid_token'],
    ['another issuer', () => stage.mandate({ iss: 'https://elsewhere' }), 401, 'invalid_token'],
    ['no lifecycle scope', () => stage.mandate({ scope: 'other' }), 403, 'missing_scope'],
    ['a dead record', () => stage.mandate({ sid: 'gone' }), 401, 'identity_revoked'],
    ['another application', () => stage.mandate({ client_id: 'other' }), 401, 'identity_revoked'],
  ])('refuses %s', async (_what, token, status, error) => {
    const presented = await token()
    const reply = await stage.call('POST', agents(), {
      ...(presented === undefined ? {} : { bearer: presented }),
      json: { application_id: stage.zone.application.id },
    })
    expect(reply).toMatchObject({ status, body: { error } })
  })

  it('names what is wrong with a body and never its value', async () => {
    const reply = await stage.call('POST', agents(), {
      bearer,
      json: { application_id: '', ttl_seconds: 'soon' },
    })
    expect(reply.status).toBe(400)
    expect(reply.body).toMatchObject({
      error: 'invalid_body',
      details: { issues: expect.arrayContaining([]) },
    })
    expect(JSON.stringify(reply.body)).toContain('ttl_seconds')
    expect(JSON.stringify(reply.body)).not.toContain('soon')
  })
})

describe('limits', () => {
  it('lets exactly the zone limit start among concurrent starts', async () => {
    await using crowded = await createStage({ MAX_AGENTS_PER_ZONE: 5 })
    const token = await crowded.mandate()
    const replies = await Promise.all(
      Array.from({ length: 20 }, () =>
        crowded.call('POST', `/zones/${crowded.zone.zoneId}/agents`, {
          bearer: token,
          json: { application_id: crowded.zone.application.id },
        }),
      ),
    )
    expect(replies.filter((reply) => reply.status === 201)).toHaveLength(5)
    expect(replies.filter((reply) => reply.body.error === 'session_zone_limit_exceeded')).toHaveLength(15)
  })
})
