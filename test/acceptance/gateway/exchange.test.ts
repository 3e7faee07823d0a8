/** gateway, acceptance checks that need a real STS, the exchange in process and over HTTP. */
import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { columnAad } from '../../../src/platform/crypto/secret-store.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { parseCompact } from '../../../src/platform/jose/compact.ts'
import { createTracer, type FinishedSpan } from '../../../src/platform/observe/tracer.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import {
  type SeededDelegation,
  sealProviderSecrets,
  seedProvider,
  seedResource,
} from '../../fixtures/zone.ts'
import { startUpstream } from '../../roles/gateway/stage.ts'
import { token } from '../../roles/sts/world.ts'
import { demo, openScene, type Scene, type Transport } from './scene.ts'

/** Between processes there is one way only. */
const transports: readonly Transport[] = inOneProcess ? ['inproc', 'http'] : ['http']

describe.each(transports)('gateway over %s', (transport) => {
  let scene: Scene
  beforeAll(async () => {
    scene = await openScene(transport)
  })
  afterAll(() => scene[Symbol.asyncDispose]())

  const outcome = async (options = {}): Promise<unknown[]> => {
    const answer = await scene.call(options)
    return [answer.status, answer.json().error, answer.json().error_description]
  }
  const dials = (): number => scene.upstream.seen.length

  test('a governed call reaches the upstream, without the mandate', async () => {
    const mandate = await scene.mint()
    const answer = await scene.call({
      mandate,
      path: '/x?q=1',
      headers: { 'x-request-id': `ok-${transport}` },
    })
    expect(answer.status).toBe(200)
    expect(answer.json()).toMatchObject({ method: 'GET', url: '/x?q=1' })
    expect(answer.body).not.toContain(mandate)
    const [event] = await scene.stage.evidence(`ok-${transport}`, 'gateway_resource_request')
    expect(event).toMatchObject({
      zone_id: scene.zone.zoneId,
      decision: 'allow',
      evaluation_status: 'executed',
      metadata_json: {
        application_id: scene.zone.application.id,
        resource: demo,
        provider_id: scene.zone.providerId,
      },
    })
    const exchange = await scene.stage.evidence(`ok-${transport}`, 'token_exchange')
    expect(exchange).toMatchObject([{ decision: 'allow' }])
  })

  test('15: one use', async () => {
    const mandate = await scene.mint()
    expect((await scene.call({ mandate })).status).toBe(200)
    const before = dials()
    expect(await outcome({ mandate })).toEqual([401, 'invalid_token', 'token replay detected'])
    const twice = await scene.mint()
    const both = await Promise.all([scene.call({ mandate: twice }), scene.call({ mandate: twice })])
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 401])
    expect(dials() - before).toBe(1)
  })

  test('17: a revoked session, record or delegation refuses a mandate minted before, as soon as the message is read', async () => {
    const revocations = [
      ['agent_session_id', 'agent_session_id'],
      ['session_id', 'sid'],
      ['session_id', 'root_sid'],
      ['delegation_edge_id', 'delegation_edge_id'],
    ] as const
    const applied = (): Promise<number> => scene.stage.metric('caracal_gateway_revocation_messages_total')
    for (const [field, claim] of revocations) {
      const mandate = await scene.mint({ delegation: await scene.delegate() })
      const anchor = String(parseCompact(mandate)?.claims[claim])
      const before = { dials: dials(), applied: await applied() }
      await scene.stage.publish('caracal.sessions.revoke', {
        zone_id: scene.zone.zoneId,
        reason: 'test',
        [field]: anchor,
      })
      await eventually(async () => (await applied()) > before.applied)
      expect(await outcome({ mandate })).toEqual([401, 'invalid_token', 'session revoked'])
      expect(dials()).toBe(before.dials)
    }
  })

  test('19: a mandate for another use is refused and stays usable where it belongs', async () => {
    const session = await token({ sts: scene.world.sts, zone: scene.zone }, { scope: 'agent:lifecycle' })
    const mandate = String(session.body.access_token)
    expect(await outcome({ mandate })).toEqual([401, 'invalid_token', 'invalid subject_token'])
    const jti = String(parseCompact(mandate)?.claims.jti)
    expect(await scene.world.ephemera.get(`seen:jti:${jti}`)).toBeNull()
  })

  test('20: an unknown resource, and one the mandate is not for', async () => {
    const before = dials()
    expect((await outcome({ resource: 'resource://unknown' })).slice(0, 2)).toEqual([403, 'access_denied'])
    const other = await seedResource(scene.world.db, scene.zone.zoneId, {
      providerId: scene.zone.providerId,
      identifier: `resource://other-${transport}`,
      upstreamUrl: scene.upstream.url,
      scopes: ['demo:read'],
    })
    expect((await outcome({ resource: other.identifier })).slice(0, 2)).toEqual([403, 'access_denied'])
    expect(dials()).toBe(before)
  })

  test('22: policy narrowed after the mint refuses the still valid mandate', async () => {
    const mandate = await scene.mint()
    await scene.grant(['demo:read'])
    expect((await outcome({ mandate })).slice(0, 2)).toEqual([403, 'access_denied'])
    await scene.grant(['demo:read', 'demo:write'])
    expect((await scene.call()).status).toBe(200)
  })

  test('23: a suspended session is refused by the exchange and works again when resumed', async () => {
    const delegation = await scene.delegate()
    const mandate = await scene.mint({ delegation })
    const { sql } = scene.world.db
    await sql`update agent_sessions set status = 'suspended', suspended_at = now() where id = ${delegation.childSessionId}`
    expect((await outcome({ mandate })).slice(0, 2)).toEqual([403, 'access_denied'])
    await sql`update agent_sessions set status = 'active', suspended_at = null where id = ${delegation.childSessionId}`
    expect((await scene.call({ mandate: await scene.mint({ delegation }) })).status).toBe(200)
  })

  test('47: one exchange and one dial per call, also when the upstream fails', async () => {
    const broken = await startUpstream((_request, response) => response.socket?.destroy())
    let hits = 0
    broken.server.on('request', () => {
      hits += 1
    })
    const { id } = scene.zone.resource
    const { sql } = scene.world.db
    await sql`update resources set upstream_url = ${broken.url}, updated_at = now() where id = ${id}`
    const requestId = `broken-${transport}`
    const answer = await eventually(async () => {
      const one = await scene.call({ headers: { 'x-request-id': requestId } })
      return one.status === 502 ? one : null
    })
    expect(answer.json()).toEqual({
      error: 'internal_error',
      error_description: 'upstream unreachable',
      requestId,
    })
    await sql`update resources set upstream_url = ${scene.upstream.url}, updated_at = now() where id = ${id}`
    expect(hits).toBe(1)
    await eventually(async () => (await scene.call()).status === 200)
    await broken[Symbol.asyncDispose]()
  })
})

describe('gateway with sealed credentials', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await openScene()
  })
  afterAll(() => scene[Symbol.asyncDispose]())

  /** Binds the demo resource to a new provider and waits until the STS sees it. */
  async function bind(
    kind: string,
    config: Readonly<Record<string, unknown>>,
    secrets: Readonly<Record<string, string>> = {},
  ): Promise<IncomingMessage['headers']> {
    const { db, cipher } = scene.world
    const providerId = await seedProvider(db, scene.zone.zoneId, { kind, config, secrets, cipher })
    await db.sql`update resources set credential_provider_id = ${providerId}, updated_at = now()
                 where id = ${scene.zone.resource.id}`
    return eventually(async () => {
      scene.upstream.seen.length = 0
      const requestId = crypto.randomUUID()
      await scene.call({ headers: { 'x-request-id': requestId } })
      const [event] = await scene.stage.evidence(requestId, 'gateway_resource_request')
      return event?.metadata_json?.provider_id === providerId
        ? (scene.upstream.seen[0]?.headers ?? null)
        : null
    })
  }

  test('36: each static kind places its credential', async () => {
    const mandate = (await bind('caracal_mandate', {})).authorization ?? ''
    expect(mandate.startsWith('Bearer ')).toBe(true)
    const jws = parseCompact(mandate.slice(7))
    expect(jws?.claims).toMatchObject({ aud: [demo], use: 'resource' })
    const keys = await scene.world.sts.zoneKeys(scene.zone.zoneId)
    expect(keys?.map((key) => key.kid)).toContain(jws?.header.kid)

    const raw = await bind(
      'api_key',
      { header_name: 'X-Api-Key', auth_location: 'header' },
      { api_key: 'k-1' },
    )
    expect(raw['x-api-key']).toBe('k-1')
    const bearer = await bind('bearer_token', {}, { bearer_token: 'b-1' })
    expect(bearer.authorization).toBe('Bearer b-1')
    const basic = await bind('http_basic', { username: 'u' }, { password: 'p' })
    expect(basic.authorization).toBe(`Basic ${Buffer.from('u:p').toString('base64')}`)
    expect((await bind('none', {})).authorization).toBeUndefined()
  }, 30_000)

  test('37: identity only when the provider forwards it', async () => {
    const headers = await bind('bearer_token', { forward_caracal_identity: true }, { bearer_token: 'b-2' })
    expect(parseCompact(String(headers['x-caracal-identity']))?.claims.use).toBe('resource')
  })

  test('70: a rotated secret is used by the next request', async () => {
    const { db, cipher } = scene.world
    const [row] = await db.sql<{ id: string }[]>`
      select credential_provider_id as id from resources where id = ${scene.zone.resource.id}`
    await sealProviderSecrets(db, cipher, scene.zone.zoneId, row?.id ?? '', { bearer_token: 'b-3' })
    await eventually(async () => {
      scene.upstream.seen.length = 0
      await scene.call()
      return scene.upstream.seen[0]?.headers.authorization === 'Bearer b-3'
    })
  })
})

test('66: an archived resource is refused, with a mandate that was minted before', async () => {
  await using scene = await openScene('inproc')
  const [mandate, later] = [await scene.mint(), await scene.mint()]
  expect((await scene.call({ mandate })).status).toBe(200)
  const dials = scene.upstream.seen.length
  await scene.world.db.sql`
    update resources set archived_at = now(), updated_at = now() where id = ${scene.zone.resource.id}`
  const answer = await scene.call({ mandate: later })
  expect([answer.status, answer.json().error]).toEqual([403, 'access_denied'])
  expect(scene.upstream.seen).toHaveLength(dials)
})

test('48a: the mint is limited, the exchange is not', async () => {
  await using scene = await openScene('inproc', { STS_MINT_RATE_LIMIT_PER_MIN: 30 })
  const mandates = await Promise.all(Array.from({ length: 30 }, () => scene.mint()))
  await expect(scene.mint()).rejects.toThrow('mint refused')
  const answers = await Promise.all(mandates.map((mandate) => scene.call({ mandate })))
  expect(answers.map((answer) => answer.status)).toEqual(mandates.map(() => 200))
})

describe.skipIf(!inOneProcess)('the one use of a mandate, claimed by the write of its exchange', () => {
  let scene: Scene
  const claims = vi.fn()
  const spans: FinishedSpan[] = []
  /** What an exchange read is remembered for the next ones, once the first key of the zone is no news any more. */
  const remembered = (delegation: SeededDelegation) =>
    eventually(async () => {
      claims.mockClear()
      for (let calls = 0; calls < 2; calls++)
        expect((await scene.call({ mandate: await scene.mint({ delegation }) })).status).toBe(200)
      return claims.mock.calls.length === 0
    })
  beforeAll(async () => {
    scene = await openScene('inproc', {}, { tracer: createTracer((span) => spans.push(span)) })
    const { replay } = scene.world.ephemera
    const { claim } = replay
    vi.spyOn(replay, 'claim').mockImplementation((...given) => {
      claims(given[0])
      return claim.apply(replay, given)
    })
    await remembered(scene.delegation)
  })
  afterAll(async () => {
    vi.restoreAllMocks()
    await scene[Symbol.asyncDispose]()
  })

  const markOf = (mandate: string): string => `seen:jti:${parseCompact(mandate)?.claims.jti}`
  const recordsUnder = async (mandate: string): Promise<number> => {
    const [row] = await scene.world.db.sql<{ n: number }[]>`
      select count(*)::int as n from authority_records
      where parent_id = ${String(parseCompact(mandate)?.claims.sid)}`
    return row?.n ?? -1
  }

  test('costs no trip of its own, and is one use all the same', async () => {
    const mandate = await scene.mint()
    const mark = markOf(mandate)
    const first = await scene.call({ mandate, headers: { 'x-request-id': 'in-passing' } })
    expect(first.status).toBe(200)
    expect(claims).not.toHaveBeenCalledWith(mark)
    expect(await scene.world.ephemera.get(mark)).toBe('in-passing')
    const again = await scene.call({ mandate })
    expect([again.status, again.json().error_description]).toEqual([401, 'token replay detected'])
    expect(await recordsUnder(mandate)).toBe(1)
  })

  test('is refused where another gateway had it: nothing is written, dialled or told but the replay', async () => {
    const mandate = await scene.mint()
    const mark = markOf(mandate)
    await scene.world.ephemera.setIfAbsent(mark, 'another gateway', 60_000)
    const dialled = scene.upstream.seen.length
    const answer = await scene.call({ mandate, headers: { 'x-request-id': 'had-elsewhere' } })
    expect([answer.status, answer.json().error_description]).toEqual([401, 'token replay detected'])
    expect(claims).not.toHaveBeenCalledWith(mark)
    expect(scene.upstream.seen.length).toBe(dialled)
    expect(await recordsUnder(mandate)).toBe(0)
    const told = await scene.stage.evidence('had-elsewhere')
    expect(told.map((event) => event.event_type)).toEqual(['replay_detected'])
    const asked = spans.findLast((span) => span.name === 'caracal.gateway.exchange')
    expect([asked?.attributes.get('caracal.refusal'), asked?.failure]).toEqual(['replayed', null])
  })

  test('is spent by a refusal, however the exchange came to it', async () => {
    const delegation = await scene.delegate()
    await remembered(delegation)
    const mandate = await scene.mint({ delegation })
    const { sql } = scene.world.db
    await sql`update agent_sessions set status = 'suspended', suspended_at = now() where id = ${delegation.childSessionId}`
    const refused = await scene.call({ mandate, headers: { 'x-request-id': 'suspended' } })
    expect([refused.status, refused.json().error]).toEqual([403, 'access_denied'])
    expect(await scene.world.ephemera.get(markOf(mandate))).toBe('suspended')
    await sql`update agent_sessions set status = 'active', suspended_at = null where id = ${delegation.childSessionId}`
    const again = await scene.call({ mandate })
    expect([again.status, again.json().error_description]).toEqual([401, 'token replay detected'])
  })

  /** Every insert into the table is refused while the work runs, of the marks of mandates alone where it is the replay memory's. */
  async function refusing<T>(table: 'ephemera' | 'authority_records', state: string, work: () => Promise<T>) {
    const { admin } = scene.world.database
    await admin.unsafe(`
      create function refuse_it() returns trigger language plpgsql as
        $$ begin raise exception 'no more of it' using errcode = '${state}'; end $$;
      create trigger refuse_it before insert on ${table} for each row
      ${table === 'ephemera' ? "when (new.key like 'seen:jti:%')" : ''} execute function refuse_it()`)
    try {
      return await work()
    } finally {
      await admin.unsafe('drop function refuse_it() cascade')
    }
  }

  test.each(['57P01', 'P0001'])(
    'of which nobody knows whether it was the first allows nothing, and is told as nothing (%s)',
    async (state) => {
      await remembered(scene.delegation)
      const mandate = await scene.mint()
      const id = `unknown-${state}`
      const answer = await refusing('ephemera', state, () =>
        scene.call({ mandate, headers: { 'x-request-id': id } }),
      )
      expect([answer.status, answer.json().error_description]).toEqual([503, 'replay protection unavailable'])
      expect(await recordsUnder(mandate)).toBe(0)
      expect((await scene.call({ mandate, headers: { 'x-request-id': `${id}-again` } })).status).toBe(200)
      await eventually(
        async () => (await scene.stage.evidence(`${id}-again`, 'gateway_resource_request')).length > 0,
      )
      const told = await scene.stage.allEvidence()
      expect(told.filter((event) => event.request_id === id)).toEqual([])
    },
  )

  test('is spent by an exchange that the store would not have', async () => {
    await remembered(scene.delegation)
    const mandate = await scene.mint()
    const answer = await refusing('authority_records', '23514', () =>
      scene.call({ mandate, headers: { 'x-request-id': 'would-not-have' } }),
    )
    expect(answer.status).toBe(500)
    expect(await scene.world.ephemera.get(markOf(mandate))).toBe('would-not-have')
    expect(await recordsUnder(mandate)).toBe(0)
  })

  test('is spent by a mandate that is revoked', async () => {
    const delegation = await scene.delegate()
    await remembered(delegation)
    const mandate = await scene.mint({ delegation })
    const applied = (): Promise<number> => scene.stage.metric('caracal_gateway_revocation_messages_total')
    const before = await applied()
    await scene.stage.publish('caracal.sessions.revoke', {
      zone_id: scene.zone.zoneId,
      reason: 'test',
      delegation_edge_id: delegation.edgeId,
    })
    await eventually(async () => (await applied()) > before)
    const refused = await scene.call({ mandate, headers: { 'x-request-id': 'revoked-once' } })
    expect([refused.status, refused.json().error_description]).toEqual([401, 'session revoked'])
    expect(await scene.world.ephemera.get(markOf(mandate))).toBe('revoked-once')
    const again = await scene.call({ mandate })
    expect([again.status, again.json().error_description]).toEqual([401, 'token replay detected'])
  })

  test('comes before anything is done with the account of a person', async () => {
    const { db, cipher } = scene.world
    const { zoneId, resource, providerId, application } = scene.zone
    const account = uuidv7()
    const connected = await seedProvider(db, zoneId, {
      kind: 'oauth2_authorization_code',
      config: { token_endpoint: `${scene.upstream.url}/token`, client_id: 'client' },
      secrets: { client_secret: 's' },
      cipher,
    })
    await db.sql`
      insert into provider_connections (id, zone_id, subject_id, provider_id, status, access_token_ct, expires_at)
      values (${account}, ${zoneId}, ${application.id}, ${connected}, 'active',
              ${cipher.seal(Buffer.from('access'), columnAad.connectionAccessToken)}, now() + interval '1 minute')`
    const route = (provider: string) => db.sql`
      update resources set credential_provider_id = ${provider} where id = ${resource.id}`
    await remembered(scene.delegation)
    await route(connected)
    try {
      // It finds the definition changed, and for a moment nothing of the zone is remembered.
      expect((await scene.call()).status).toBe(200)
      await new Promise((resolve) => setTimeout(resolve, 1_100))
      expect((await scene.call()).status).toBe(200)
      const mandate = await scene.mint()
      await db.sql`update provider_connections set expires_at = now() where id = ${account}`
      await scene.world.ephemera.setIfAbsent(markOf(mandate), 'another gateway', 60_000)
      const answer = await scene.call({ mandate })
      expect([answer.status, answer.json().error_description]).toEqual([401, 'token replay detected'])
      expect(await db.sql`select status from provider_connections where id = ${account}`).toEqual([
        { status: 'active' },
      ])
    } finally {
      await route(providerId)
    }
  })
})
