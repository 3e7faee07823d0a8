import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seedDelegation } from '../../fixtures/zone.ts'
import { auditEvents, claimsOf, createWorld, issuer, token, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

describe('the worked example of sts §15', () => {
  test('bootstrap answers a session mandate', async () => {
    const answer = await token(world, { scope: 'agent:lifecycle' })
    expect(answer.body).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 900,
      scope: 'agent:lifecycle',
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      target_resources: ['resource://nucleus'],
    })
    expect(answer.status).toBe(200)
    const claims = claimsOf(answer.body.access_token)
    expect(claims).toMatchObject({ iss: issuer, aud: [issuer], use: 'session', sub_type: 'application' })
    expect(claims.root_sid).toBe(claims.sid)
  })

  test('delegated mint answers a gateway mandate, the gateway trades it', async () => {
    const { childSessionId, parentSessionId, edgeId } = await seedDelegation(world.db, world.zone)
    const answer = await token(world, {
      scope: 'nucleus:pay',
      agent_session_id: childSessionId,
      delegation_edge_id: edgeId,
    })
    expect(answer.body).toMatchObject({ scope: 'nucleus:pay' })
    const claims = claimsOf(answer.body.access_token)
    expect(claims).toMatchObject({
      use: 'gateway',
      delegation_path: [edgeId],
      hop_count: 1,
      delegation_graph_epoch: 1,
      delegation_chain: [
        {
          application_id: world.zone.application.id,
          agent_session_id: parentSessionId,
          delegation_edge_id: edgeId,
        },
        { application_id: world.zone.application.id, agent_session_id: childSessionId },
      ],
    })
    const result = await world.sts.exchangeForGateway(
      {
        requestId: 'req-1',
        zoneId: world.zone.zoneId,
        applicationId: world.zone.application.id,
        mandate: answer.body.access_token,
        resource: 'resource://nucleus',
        method: 'POST',
        path: '/pay',
      },
      new AbortController().signal,
    )
    expect(result).toMatchObject({
      ok: true,
      scope: 'nucleus:pay',
      upstreams: { 'resource://nucleus': { url: 'https://nucleus.example', auth_mode: 'none' } },
    })
    if (!result.ok) return
    expect(claimsOf(result.accessToken())).toMatchObject({
      use: 'resource',
      aud: ['resource://nucleus'],
      root_sid: claims.root_sid,
    })
    expect(await auditEvents(world, 'req-1')).toMatchObject([{ decision: 'allow' }])
  })
})
