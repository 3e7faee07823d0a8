import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  activatePolicy,
  grantsDocument,
  seedApplication,
  seedDelegation,
  seedEdge,
  seedSession,
  seedZone,
} from '../../fixtures/zone.ts'
import {
  auditEvent,
  claimsOf,
  createWorld,
  delegatedFields,
  type Fields,
  issuer,
  type TokenAnswer,
  token,
  type World,
} from '../../roles/sts/world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const outcome = (answer: TokenAnswer) => [answer.status, answer.body?.error]
const denied = [403, 'access_denied']

describe('sts §18 gateway mandate', () => {
  test('20: a gateway mandate carries the whole delegation and never outlives it', async () => {
    const delegation = await seedDelegation(world.db, world.zone, { lifetimeSeconds: 300 })
    const answer = await token(world, delegatedFields(delegation))
    expect(answer.status).toBe(200)
    expect(answer.body.expires_in).toBeLessThanOrEqual(300)
    expect(claimsOf(answer.body.access_token)).toMatchObject({
      aud: [issuer],
      use: 'gateway',
      target: ['resource://nucleus'],
      agent_session_id: delegation.childSessionId,
      delegation_edge_id: delegation.edgeId,
      source_session_id: delegation.parentSessionId,
      target_session_id: delegation.childSessionId,
      delegation_path: [delegation.edgeId],
      hop_count: 1,
      delegation_graph_epoch: 1,
    })
  })

  test('what a session was refused names it, whatever the refusal; a session of another is not named', async () => {
    const { zoneId, application } = world.zone
    const delegation = await seedDelegation(world.db, world.zone)
    const fields = delegatedFields(delegation)
    const foreign = await seedApplication(world.db, world.hasher, zoneId)
    const other = await seedSession(world.db, zoneId, { applicationId: foreign.id })
    const metadataOf = async (tried: Fields, status: string) => {
      const { body } = await token(world, { ...fields, ...tried })
      return (await auditEvent(world, body.requestId, status)).metadata_json
    }
    const own = { agent_session_id: delegation.childSessionId, agent_labels: [application.id] }
    const edge = { delegation_edge_id: delegation.edgeId }
    expect(await metadataOf({ scope: 'nucleus:other' }, 'reference_invalid')).toMatchObject(own)
    expect(await metadataOf({ resource: 'resource://none' }, 'resource_not_found')).toMatchObject({
      ...own,
      ...edge,
    })
    expect(await metadataOf({ resource: 'resource://none' }, 'exchange_denied')).toMatchObject({
      ...own,
      ...edge,
    })
    const stolen = await metadataOf({ agent_session_id: other }, 'reference_invalid')
    expect(stolen).toEqual({
      application_id: application.id,
      application_name: expect.any(String),
      application_registration_method: 'managed',
      reason: 'session not owned by caller',
    })
    await world.db
      .sql`update agent_sessions set status = 'terminated', terminated_at = now(), termination_reason = 'x' where id = ${delegation.childSessionId}`
    expect(await metadataOf({}, 'reference_invalid')).toMatchObject(own)
  })

  test('21: session and delegation belong together', async () => {
    const { childSessionId, edgeId } = await seedDelegation(world.db, world.zone)
    const alone = await token(world, { scope: 'nucleus:pay', agent_session_id: childSessionId })
    expect(outcome(alone)).toEqual(denied)
    const edgeOnly = await token(world, { scope: 'nucleus:pay', delegation_edge_id: edgeId })
    expect(outcome(edgeOnly)).toEqual(denied)
  })

  describe('22: whose edge and whose session it is', () => {
    const revoked = (id: string) => world.db.sql`
      update delegation_edges set status = 'revoked', revoked_at = now() where id = ${id}`
    const expired = (id: string) => world.db.sql`
      update delegation_edges set expires_at = now() where id = ${id}`
    const suspended = (id: string) => world.db.sql`
      update agent_sessions set status = 'suspended', suspended_at = now() where id = ${id}`
    const terminated = (id: string) => world.db.sql`
      update agent_sessions set status = 'terminated', terminated_at = now() where id = ${id}`
    const refused = async (fields: Fields) =>
      expect(outcome(await token(world, { scope: 'nucleus:pay', ...fields }))).toEqual(denied)

    test('a revoked, an expired or another session’s edge', async () => {
      for (const end of [revoked, expired]) {
        const delegation = await seedDelegation(world.db, world.zone)
        expect((await token(world, delegatedFields(delegation))).status).toBe(200)
        await end(delegation.edgeId)
        await refused(delegatedFields(delegation))
      }
      const [mine, theirs] = [
        await seedDelegation(world.db, world.zone),
        await seedDelegation(world.db, world.zone),
      ]
      await refused({ agent_session_id: mine.childSessionId, delegation_edge_id: theirs.edgeId })
      await refused({ agent_session_id: mine.parentSessionId, delegation_edge_id: mine.edgeId })
    })

    test('an edge or a session of another zone', async () => {
      const zone = await seedZone(world.db, world.hasher)
      const foreign = await seedDelegation(world.db, zone)
      const mine = await seedDelegation(world.db, world.zone)
      await refused(delegatedFields(foreign))
      await refused({ agent_session_id: mine.childSessionId, delegation_edge_id: foreign.edgeId })
      await refused({ agent_session_id: foreign.childSessionId, delegation_edge_id: mine.edgeId })
    })

    test('a suspended, ended or outlived session', async () => {
      for (const end of [suspended, terminated]) {
        const delegation = await seedDelegation(world.db, world.zone)
        await end(delegation.childSessionId)
        await refused(delegatedFields(delegation))
      }
      const late = await seedDelegation(world.db, world.zone)
      await world.db.sql`
        update agent_sessions set spawned_at = now() - interval '2 hours' where id = ${late.childSessionId}`
      await refused(delegatedFields(late))
    })

    test('a session of another application', async () => {
      const other = await seedApplication(world.db, world.hasher, world.zone.zoneId)
      const delegation = await seedDelegation(world.db, world.zone)
      await refused({
        ...delegatedFields(delegation),
        application_id: other.id,
        client_secret: other.secret,
      })
    })
  })

  test('23: scopes narrow at the edge and at the role', async () => {
    const wide = await seedDelegation(world.db, world.zone, { scopes: ['nucleus:pay', 'nucleus:read'] })
    const outside = await token(world, { ...delegatedFields(wide), scope: 'nucleus:admin' })
    expect(outcome(outside)).toEqual(denied)

    await world.db.sql`
      update resources set scopes = '{nucleus:pay,nucleus:read}' where id = ${world.zone.resource.id}`
    const beyondRole = await token(world, { ...delegatedFields(wide), scope: 'nucleus:read' })
    expect(beyondRole.body.error_description).toBe('policy denied (role_scope_mismatch)')

    const applicationId = world.zone.application.id
    const source = await seedSession(world.db, world.zone.zoneId, { applicationId })
    const target = await seedSession(world.db, world.zone.zoneId, { applicationId, labels: [] })
    const edge = await seedEdge(world.db, world.zone.zoneId, {
      source,
      target,
      issuer: applicationId,
      scopes: ['nucleus:pay'],
    })
    const unlabelled = await token(world, {
      scope: 'nucleus:pay',
      agent_session_id: target,
      delegation_edge_id: edge,
    })
    expect(unlabelled.body.error_description).toBe('policy denied (role_scope_mismatch)')

    const short = await seedDelegation(world.db, world.zone, { constraints: { ttl_seconds: 60 } })
    expect(outcome(await token(world, { ...delegatedFields(short), ttl_seconds: '61' }))).toEqual(denied)
    const within = await token(world, delegatedFields(short))
    expect(within.body.expires_in).toBe(60)
  })

  test('24: constraints name other resources or something unknown', async () => {
    const elsewhere = await seedDelegation(world.db, world.zone, {
      constraints: { resources: ['resource://other'] },
    })
    const answer = await token(world, delegatedFields(elsewhere), { 'x-request-id': 'outside' })
    expect(outcome(answer)).toEqual(denied)
    expect(await auditEvent(world, 'outside', 'resource_outside_delegation')).toMatchObject({
      decision: 'deny',
      metadata_json: { resource: 'resource://nucleus', delegation_edge_id: elsewhere.edgeId },
    })
    const unknown = await seedDelegation(world.db, world.zone, { constraints: { weekday: 'monday' } })
    expect(outcome(await token(world, delegatedFields(unknown)))).toEqual(denied)
    const budget = await seedDelegation(world.db, world.zone, { constraints: { budget: 2 } })
    expect((await token(world, delegatedFields(budget))).status).toBe(200)
  })

  describe('25: lineages', () => {
    async function chain(
      applications: readonly string[],
      constraints: readonly Readonly<Record<string, unknown>>[],
    ): Promise<{ edges: string[]; leafSession: string }> {
      const { db, zone } = world
      const label = applications.at(-1) as string
      const sessions: string[] = []
      for (const applicationId of applications) {
        sessions.push(await seedSession(db, zone.zoneId, { applicationId, labels: [label] }))
      }
      const edges: string[] = []
      for (let index = 0; index + 1 < sessions.length; index++) {
        const parentEdgeId = edges.at(-1)
        edges.push(
          await seedEdge(db, zone.zoneId, {
            source: sessions[index] as string,
            target: sessions[index + 1] as string,
            issuer: applications[index] as string,
            receiver: applications[index + 1] as string,
            scopes: ['nucleus:pay'],
            constraints: constraints[index] ?? {},
            ...(parentEdgeId === undefined ? {} : { parentEdgeId }),
          }),
        )
      }
      return { edges, leafSession: sessions.at(-1) as string }
    }

    const mint = (edges: readonly string[], leafSession: string, as = world.zone.application) =>
      token(world, {
        scope: 'nucleus:pay',
        application_id: as.id,
        client_secret: as.secret,
        agent_session_id: leafSession,
        delegation_edge_id: edges.at(-1) as string,
      })

    test('root allows two hops, leaf one', async () => {
      const own = world.zone.application.id
      const { edges, leafSession } = await chain([own, own, own], [{ max_hops: 2 }, { max_hops: 1 }])
      const answer = await mint(edges, leafSession)
      expect(answer.status).toBe(200)
      const claims = claimsOf(answer.body.access_token)
      expect(claims.hop_count).toBe(2)
      expect(claims.delegation_path).toEqual(edges)
      expect(
        (claims.delegation_chain as { delegation_edge_id?: string }[]).map((hop) => hop.delegation_edge_id),
      ).toEqual([...edges, undefined])
    })

    test('root allows one hop only', async () => {
      const own = world.zone.application.id
      const { edges, leafSession } = await chain(
        [own, own, own],
        [{ max_hops: 1 }, { max_hops: 1, ttl_seconds: 60 }],
      )
      expect(outcome(await mint(edges, leafSession))).toEqual(denied)
    })

    test('an inherited mirror below one hop is not counted', async () => {
      const own = world.zone.application.id
      const { edges, leafSession } = await chain([own, own, own], [{ max_hops: 1 }, { max_hops: 1 }])
      expect((await mint(edges, leafSession)).status).toBe(200)
    })

    test('three applications in a row', async () => {
      const { db, zone, hasher } = world
      const middle = await seedApplication(db, hasher, zone.zoneId)
      const last = await seedApplication(db, hasher, zone.zoneId)
      await activatePolicy(db, zone.zoneId, [
        grantsDocument({
          app_ids: { last: last.id },
          grants: { 'resource://nucleus': { application: 'last', roles: { [last.id]: ['nucleus:pay'] } } },
        }),
      ])
      const { edges, leafSession } = await chain(
        [zone.application.id, middle.id, last.id],
        [{ max_hops: 2 }, { max_hops: 1 }],
      )
      const answer = await mint(edges, leafSession, last)
      expect(answer.body).toMatchObject({ target_resources: ['resource://nucleus'] })
      const hops = claimsOf(answer.body.access_token).delegation_chain as { application_id: string }[]
      expect(hops.map((hop) => hop.application_id)).toEqual([zone.application.id, middle.id, last.id])
      await activatePolicy(db, zone.zoneId, [
        grantsDocument({
          app_ids: { own: zone.application.id },
          grants: {
            'resource://nucleus': { application: 'own', roles: { [zone.application.id]: ['nucleus:pay'] } },
          },
        }),
      ])
    })

    test('eleven edges, a circle and a lost parent carry nothing', async () => {
      const own = world.zone.application.id
      const long = await chain(Array(12).fill(own), Array(11).fill({ max_hops: 10 }))
      expect(outcome(await mint(long.edges, long.leafSession))).toEqual(denied)
      const ten = await chain(Array(11).fill(own), Array(10).fill({ max_hops: 10 }))
      expect((await mint(ten.edges, ten.leafSession)).status).toBe(200)
      const circle = await chain([own, own, own], [{ max_hops: 2 }, {}])
      await world.db.sql`
        update delegation_edges set parent_edge_id = ${circle.edges[1] as string} where id = ${circle.edges[0] as string}`
      expect(outcome(await mint(circle.edges, circle.leafSession))).toEqual(denied)
    })

    test('a dead edge or session anywhere above ends the leaf', async () => {
      const own = world.zone.application.id
      const revoked = await chain([own, own, own], [{ max_hops: 2 }, {}])
      await world.db.sql`
        update delegation_edges set status = 'revoked', revoked_at = now() where id = ${revoked.edges[0] as string}`
      expect(outcome(await mint(revoked.edges, revoked.leafSession))).toEqual(denied)
    })
  })

  test('26: every mint is its own mandate', async () => {
    const delegation = await seedDelegation(world.db, world.zone)
    const [first, second] = await Promise.all([
      token(world, delegatedFields(delegation)),
      token(world, delegatedFields(delegation)),
    ])
    const [a, b] = [claimsOf(first.body.access_token), claimsOf(second.body.access_token)]
    expect(a.jti).not.toBe(b.jti)
    expect(a.sid).not.toBe(b.sid)
  })
})
