import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signGatewayRequest } from '../../../src/roles/sts/gateway-signature.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { seam } from '../../fixtures/seam.ts'
import {
  activatePolicy,
  grantsDocument,
  sealProviderSecrets,
  seedProvider,
  seedResource,
} from '../../fixtures/zone.ts'
import {
  accessTokenType,
  auditEvent,
  claimsOf,
  createWorld,
  gatewayExchange,
  mintGatewayMandate,
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
const presented = (mandate: string) => ({ subject_token: mandate, subject_token_type: accessTokenType })

describe('sts §18 gateway exchange', () => {
  test('27: answers a resource mandate and the upstream directive', async () => {
    const { mandate } = await mintGatewayMandate(world)
    const answer = await gatewayExchange(world, mandate)
    expect(answer.body).toMatchObject({
      token_type: 'Bearer',
      scope: 'nucleus:pay',
      target_resources: ['resource://nucleus'],
      upstreams: {
        'resource://nucleus': {
          url: 'https://nucleus.example',
          auth_mode: 'none',
          provider_id: world.zone.providerId,
        },
      },
    })
    const before = claimsOf(mandate)
    const claims = claimsOf(answer.body.access_token)
    expect(claims).toMatchObject({
      use: 'resource',
      aud: ['resource://nucleus'],
      root_sid: before.root_sid,
      scope: 'nucleus:pay',
      agent_session_id: before.agent_session_id,
      delegation_edge_id: before.delegation_edge_id,
    })
    expect(claims.jti).not.toBe(before.jti)
    const [row] = await world.db.sql<{ parent_id: string }[]>`
      select parent_id from authority_records where id = ${claims.sid as string}`
    expect(row?.parent_id).toBe(before.sid)
  })

  test('28: every defect of the transport proof is 401', async () => {
    const { mandate } = await mintGatewayMandate(world)
    const nonce = 'ab'.repeat(32)
    expect((await gatewayExchange(world, mandate, { nonce })).status).toBe(200)
    const now = Math.floor(Date.now() / 1000)
    const attempts = {
      'same nonce': { nonce },
      'too old': { timestamp: now - 61 },
      'too new': { timestamp: now + 62 },
      'altered body': { tamper: (body: string) => body.replace('%2Fpay', '%2Fpaz') },
      'other request id': { headers: { 'x-request-id': 'another' } },
      'no signature': { headers: { 'x-caracal-gateway-signature': null } },
      'only a timestamp': {
        headers: { 'x-caracal-gateway-signature': null, 'x-caracal-gateway-request': null },
      },
      'empty nonce': { headers: { 'x-caracal-gateway-request': '' } },
    }
    for (const [name, call] of Object.entries(attempts)) {
      expect([name, ...outcome(await gatewayExchange(world, mandate, call))]).toEqual([
        name,
        401,
        'access_denied',
      ])
    }
  })

  seam('empties the memory of a store that others use')(
    '28: a mandate older than the replay memory is refused, a younger one is not',
    async () => {
      const { mandate } = await mintGatewayMandate(world)
      await world.database.admin`delete from ephemera`
      expect(outcome(await gatewayExchange(world, mandate))).toEqual([401, 'access_denied'])
      await eventually(async () => {
        const younger = await mintGatewayMandate(world)
        return (await gatewayExchange(world, younger.mandate)).status === 200
      })
    },
  )

  test('28: the vectors of §2.5 and gateway §9.1', () => {
    const body = Buffer.from(
      'grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&zone_id=zone-1',
    )
    const key = Buffer.from('00112233445566778899aabbccddeeff'.repeat(2), 'hex')
    const sign = (parts: Partial<Parameters<typeof signGatewayRequest>[1]>) =>
      signGatewayRequest(key, {
        timestamp: '1790000000',
        nonce: '0190a000-0000-7000-8000-000000000001',
        method: 'POST',
        path: '/oauth/2/token',
        body,
        ...parts,
      })
    expect(sign({})).toBe('772cf48cfb76491771a3f1344c482cbbf6bcd9c7961d0ffbed6a4134cbd4814d')
    expect(
      sign({
        nonce: '0190a000-0000-7000-8000-000000000002',
        method: 'GET',
        path: '/internal/policy/status/zone-1',
        body: Buffer.alloc(0),
      }),
    ).toBe('1cb7a793de3b80b19102835a414f2112424e78575062f0b452400ed38c5080ca')
    expect(
      signGatewayRequest(Buffer.from('gateway-signing-key-with-entropy'), {
        timestamp: '1700000000',
        nonce: 'req-123',
        method: 'post',
        path: '/oauth/token',
        body: Buffer.from('{"grant_id":"grant_123","scope":"read write"}'),
      }),
    ).toBe('4d299b9ededc03aae1467f1d85502ee7c9399d05c9a46123a31d4a768d2e0925')
  })

  test('29: each class of mandate has its one door', async () => {
    const session = (await token(world, { scope: 'agent:lifecycle' })).body.access_token
    const { mandate } = await mintGatewayMandate(world)
    const resource = (await gatewayExchange(world, mandate)).body.access_token
    expect(outcome(await gatewayExchange(world, session))).toEqual([401, 'invalid_token'])
    expect(outcome(await gatewayExchange(world, resource))).toEqual([401, 'invalid_token'])
    expect(outcome(await token(world, presented(mandate)))).toEqual([401, 'invalid_token'])
    expect(outcome(await token(world, presented(resource)))).toEqual([401, 'invalid_token'])
  })

  test('30: the operation floor', async () => {
    const { mandate } = await mintGatewayMandate(world)
    const other = await gatewayExchange(world, mandate, { path: '/other', requestId: 'floor' })
    expect(outcome(other)).toEqual([403, 'operation_not_permitted'])
    expect(await auditEvent(world, 'floor', 'operation_not_permitted')).toMatchObject({
      metadata_json: { method: 'POST', path: '/other' },
    })
    expect((await gatewayExchange(world, mandate, { method: 'post' })).status).toBe(200)
  })

  test('31: a policy narrowed after the mint decides at once', async () => {
    const { mandate } = await mintGatewayMandate(world)
    const own = world.zone.application.id
    const roles = (scopes: string[]) =>
      grantsDocument({
        app_ids: { own },
        grants: { 'resource://nucleus': { application: 'own', roles: { [own]: scopes } } },
      })
    await activatePolicy(world.db, world.zone.zoneId, [roles([])])
    const answer = await gatewayExchange(world, mandate)
    expect(outcome(answer)).toEqual([403, 'access_denied'])
    expect(answer.body.error_description).toBe('policy denied (role_scope_mismatch)')
    await activatePolicy(world.db, world.zone.zoneId, [roles(['nucleus:pay'])])
    expect((await gatewayExchange(world, mandate)).status).toBe(200)
  })

  test('32: a revoked record and a foreign resource', async () => {
    const { mandate } = await mintGatewayMandate(world)
    const other = await seedResource(world.db, world.zone.zoneId, {
      providerId: world.zone.providerId,
      scopes: ['nucleus:pay'],
    })
    const elsewhere = await gatewayExchange(world, mandate, { resource: other.identifier })
    expect(elsewhere.body.error_description).toBe('policy denied (mandate_target_mismatch)')
    await world.db.sql`
      update authority_records set status = 'revoked', revoked_at = now()
      where id = ${claimsOf(mandate).sid as string}`
    expect(outcome(await gatewayExchange(world, mandate))).toEqual([403, 'access_denied'])
  })

  test('33: an unsigned answer never names an upstream', async () => {
    const session = await token(world, { scope: 'agent:lifecycle' })
    expect(session.body).not.toHaveProperty('upstreams')
  })

  describe('33: directives per provider kind', () => {
    async function bindProvider(
      kind: string,
      config: object,
      secrets: Record<string, string>,
    ): Promise<string> {
      const providerId = await seedProvider(world.db, world.zone.zoneId, {
        kind,
        config: config as Record<string, unknown>,
        secrets,
        cipher: world.cipher,
      })
      await world.db.sql`
        update resources set credential_provider_id = ${providerId} where id = ${world.zone.resource.id}`
      return providerId
    }

    async function directive(): Promise<Record<string, unknown>> {
      const { mandate } = await mintGatewayMandate(world)
      const answer = await gatewayExchange(world, mandate)
      return answer.status === 200 ? answer.body.upstreams['resource://nucleus'] : { ...answer }
    }

    test.each([
      [
        'api_key',
        { header_name: 'x-api-key', allowed_token_hosts: ['API.Example'] },
        { api_key: 'k1' },
        {
          auth_mode: 'provider_apikey',
          auth_location: 'header',
          auth_header: 'x-api-key',
          provider_token: 'k1',
          allowed_token_hosts: ['api.example'],
        },
      ],
      [
        'api_key',
        { auth_location: 'query', query_param_name: 'key', forward_caracal_identity: true },
        { api_key: 'k2' },
        {
          auth_mode: 'provider_apikey',
          auth_location: 'query',
          query_param_name: 'key',
          provider_token: 'k2',
          forward_caracal_identity: true,
        },
      ],
      [
        'bearer_token',
        {},
        { bearer_token: 't1' },
        {
          auth_mode: 'provider_oauth',
          auth_header: 'Authorization',
          auth_scheme: 'Bearer',
          provider_token: 't1',
        },
      ],
      [
        'http_basic',
        { username: ' joe ' },
        { password: 'p:w' },
        {
          auth_mode: 'provider_oauth',
          auth_header: 'Authorization',
          auth_scheme: 'Basic',
          provider_token: Buffer.from('joe:p:w').toString('base64'),
        },
      ],
      [
        'caracal_mandate',
        {},
        {},
        { auth_mode: 'caracal_jwt', auth_header: 'Authorization', auth_scheme: 'Bearer' },
      ],
    ])('%s %j', async (kind, config, secrets, expected) => {
      const providerId = await bindProvider(kind, config, secrets as Record<string, string>)
      expect(await directive()).toEqual({
        url: 'https://nucleus.example',
        provider_id: providerId,
        ...expected,
      })
    })

    test('a rotated secret is used by the next exchange', async () => {
      const providerId = await bindProvider('bearer_token', {}, { bearer_token: 'old' })
      expect(await directive()).toMatchObject({ provider_token: 'old' })
      await sealProviderSecrets(world.db, world.cipher, world.zone.zoneId, providerId, {
        bearer_token: 'new',
      })
      expect(await directive()).toMatchObject({ provider_token: 'new' })
    })

    test.each([
      ['a missing secret', 'bearer_token', {}, {}],
      ['an unreadable header', 'api_key', { header_name: 'x api' }, { api_key: 'k' }],
      ['a header injection', 'bearer_token', {}, { bearer_token: 'a\r\nx: y' }],
      ['a bad host', 'api_key', { header_name: 'x', allowed_token_hosts: ['a..b'] }, { api_key: 'k' }],
    ])('%s is 502', async (_, kind, config, secrets) => {
      await bindProvider(kind, config, secrets as unknown as Record<string, string>)
      expect(await directive()).toMatchObject({
        status: 502,
        body: {
          error: 'http_request_failed',
          error_description: expect.stringContaining('resource://nucleus'),
        },
      })
    })

    test('an archived provider denies', async () => {
      const providerId = await bindProvider('none', {}, {})
      const { mandate } = await mintGatewayMandate(world)
      await world.db.sql`update providers set archived_at = now() where id = ${providerId}`
      const answer = await gatewayExchange(world, mandate, { requestId: 'gone' })
      expect(outcome(answer)).toEqual([403, 'access_denied'])
      await auditEvent(world, 'gone', 'provider_unavailable')
      await world.db.sql`
        update resources set credential_provider_id = ${world.zone.providerId} where id = ${world.zone.resource.id}`
    })
  })

  test('34: a session mandate as subject token buys nothing', async () => {
    const session = (await token(world, { scope: 'agent:lifecycle' })).body.access_token
    for (const scope of [undefined, 'agent:lifecycle', 'nucleus:pay']) {
      expect(outcome(await token(world, { scope, ...presented(session) }))).toEqual([403, 'access_denied'])
    }
  })

  test('the in-process call answers the same', async () => {
    const { mandate } = await mintGatewayMandate(world)
    const call = {
      requestId: 'in-process',
      zoneId: world.zone.zoneId,
      applicationId: world.zone.application.id,
      mandate,
      verifiedClaims: claimsOf(mandate),
      resource: 'resource://nucleus',
      method: 'POST',
      path: '/pay',
    }
    const { signal } = new AbortController()
    expect(await world.sts.exchangeForGateway(call, signal)).toMatchObject({ ok: true, scope: 'nucleus:pay' })
    expect(await world.sts.exchangeForGateway({ ...call, path: '/no' }, signal)).toMatchObject({
      ok: false,
      status: 403,
      error: 'operation_not_permitted',
    })
    const stranger = { ...call, applicationId: 'nobody' }
    expect(await world.sts.exchangeForGateway(stranger, signal)).toMatchObject({ ok: false, status: 401 })
  })
})
