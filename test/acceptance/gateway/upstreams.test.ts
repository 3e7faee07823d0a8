/** gateway, acceptance checks 26–46: which upstreams are dialled, and what passes in both directions. */
import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../../fixtures/eventually.ts'
import { seam } from '../../fixtures/seam.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { sealProviderSecrets, seedProvider } from '../../fixtures/zone.ts'
import { readAnswer, startUpstream, type Upstream } from '../../roles/gateway/stage.ts'
import { demo, openScene, type Scene } from './scene.ts'

let scene: Scene
let scripted: Upstream
let script: (request: IncomingMessage, response: import('node:http').ServerResponse) => void
let addresses: string[][]

beforeAll(async () => {
  scripted = await startUpstream((request, response) => script(request, response))
  scene = await openScene(
    'inproc',
    { TRUST_PROXY: true, STREAM_IDLE_TIMEOUT: 2000 },
    inOneProcess
      ? {
          resolve: async () => {
            const turn = (addresses.length > 1 ? addresses.shift() : addresses[0]) ?? []
            return turn.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
          },
        }
      : {},
  )
})
afterAll(async () => {
  await scene[Symbol.asyncDispose]()
  await scripted[Symbol.asyncDispose]()
})
beforeEach(async () => {
  scene.upstream.seen.length = 0
  await scene.route(scene.upstream.url)
})

const failure = async (requestId: string): Promise<unknown[]> => {
  const answer = await scene.call({ headers: { 'x-request-id': requestId } })
  const [event] = await scene.stage.evidence(requestId, 'gateway_resource_request')
  return [
    answer.status,
    answer.json().error,
    answer.json().error_description,
    event?.evaluation_status,
    event?.metadata_json?.error_kind,
  ]
}

describe('gateway: upstream safety', () => {
  test('26, 30: addresses and URLs that are never dialled', async () => {
    const urls = [
      'http://169.254.169.254/',
      'http://[fe80::1]/',
      'http://224.0.0.1/',
      'http://0.0.0.0/',
      'http://[64:ff9b::a9fe:a9fe]/',
      'http://[::ffff:169.254.169.254]/',
      'http://[fd00:ec2::254]/',
      'http://168.63.129.16/',
      `http://u:p@127.0.0.1:${scene.upstream.port}/`,
      `ftp://127.0.0.1:${scene.upstream.port}/`,
    ]
    for (const [index, url] of urls.entries()) {
      await scene.route(url)
      expect(await failure(`unsafe-${index}`)).toEqual([
        502,
        'internal_error',
        'upstream not addressable',
        'upstream_rejected',
        'upstream_not_addressable',
      ])
    }
    expect(scene.upstream.connections()).toBe(0)
  })

  seam('answers the name lookups of one gateway')(
    '28: a name that turns to metadata between check and dial',
    async () => {
      addresses = [['93.184.216.34'], ['169.254.169.254']]
      await scene.route(`http://rebind.test:${scene.upstream.port}/`)
      expect((await failure('rebind')).slice(0, 3)).toEqual([502, 'internal_error', 'upstream unreachable'])
      expect(scene.upstream.connections()).toBe(0)
    },
  )

  test('31: a credential for another host', async () => {
    const { db, cipher } = scene.world
    const secrets = { bearer_token: 'b' }
    const config = { allowed_token_hosts: ['api.x'] }
    const id = await seedProvider(db, scene.zone.zoneId, { kind: 'bearer_token', config, secrets, cipher })
    await db.sql`update resources set credential_provider_id = ${id}, updated_at = now()
                 where id = ${scene.zone.resource.id}`
    expect(await failure('wrong-host')).toEqual([
      502,
      'internal_error',
      'provider credential not allowed for upstream host',
      'upstream_rejected',
      'provider_host_not_allowed',
    ])
    expect(scene.upstream.seen).toHaveLength(0)
    await db.sql`update resources set credential_provider_id = ${scene.zone.providerId}, updated_at = now()
                 where id = ${scene.zone.resource.id}`
  })

  test('32: redirects are answers', async () => {
    await scene.route(scripted.url)
    const cases: [string, string | undefined][] = [
      ['http://127.0.0.1:9/steal', undefined],
      ['//host/x', undefined],
      ['/v2', '/v2'],
    ]
    for (const [location, kept] of cases) {
      script = (_request, response) => {
        response.writeHead(302, { location, refresh: '0; url=http://evil' })
        response.end()
      }
      const answer = await scene.call()
      expect([answer.status, answer.headers.location, answer.headers.refresh]).toEqual([302, kept, undefined])
    }
  })
})

describe('gateway: forwarding', () => {
  test('33: only what may travel reaches the upstream', async () => {
    await scene.call({
      headers: {
        connection: 'X-Hop',
        'x-hop': '1',
        'proxy-authorization': 'x',
        forwarded: 'for=x',
        'x-real-ip': '1.1.1.1',
        'x-caracal-upstream': 'http://evil',
        'x-caracal-identity': 'forged',
        baggage: 'caracal.hop=1,tenant=h',
        'x-keep': 'v',
      },
    })
    const { headers } = scene.upstream.seen[0] ?? { headers: {} }
    expect(Object.keys(headers).sort()).toEqual([
      'baggage',
      'connection',
      'host',
      'traceparent',
      'x-forwarded-for',
      'x-forwarded-host',
      'x-forwarded-proto',
      'x-keep',
      'x-request-id',
    ])
    expect(headers).toMatchObject({ baggage: 'tenant=h', 'x-keep': 'v', 'x-forwarded-for': '127.0.0.1' })
  })

  test('34: a trusted proxy speaks for its client', async () => {
    const forwarded = async (headers: Record<string, string>) => {
      scene.upstream.seen.length = 0
      await scene.call({ headers })
      const seen = scene.upstream.seen[0]?.headers
      return [seen?.['x-forwarded-for'], seen?.['x-forwarded-proto']]
    }
    expect(
      await forwarded({ 'x-forwarded-for': '203.0.113.10, 10.0.0.2', 'x-forwarded-proto': 'https' }),
    ).toEqual(['203.0.113.10', 'https'])
    expect(await forwarded({ 'x-forwarded-for': 'unknown', 'x-forwarded-proto': 'gopher' })).toEqual([
      '127.0.0.1',
      'http',
    ])
  })

  test('36, 40: an api key in the query wins, and shows up nowhere else', async () => {
    const { db, cipher } = scene.world
    const id = await seedProvider(db, scene.zone.zoneId, {
      kind: 'api_key',
      config: { auth_location: 'query', query_param_name: 'key' },
      secrets: { api_key: 'sealed-value' },
      cipher,
    })
    await sealProviderSecrets(db, cipher, scene.zone.zoneId, id, { api_key: 'sealed-value' })
    await db.sql`update resources set credential_provider_id = ${id}, updated_at = now()
                 where id = ${scene.zone.resource.id}`
    await scene.call({ path: '/q?key=callers&x=1' })
    expect(scene.upstream.seen[0]?.url).toBe('/q?x=1&key=sealed-value')
    await scene.route('http://127.0.0.1:9')
    const answer = await scene.call({ headers: { 'x-request-id': 'leak' } })
    expect([answer.status, answer.json().error_description]).toEqual([502, 'upstream unreachable'])
    await scene.stage.evidence('leak', 'gateway_resource_request')
    const written = JSON.stringify(await scene.stage.allEvidence())
    expect(answer.body + written).not.toContain('sealed-value')
    await db.sql`update resources set credential_provider_id = ${scene.zone.providerId}, updated_at = now()
                 where id = ${scene.zone.resource.id}`
  })

  test('38: paths and queries are joined', async () => {
    await scene.route(`${scene.upstream.url}/base?fixed=1&shared=u`)
    await scene.call({ path: '/v1/items?shared=c&extra=1' })
    const url = new URL(scene.upstream.seen[0]?.url ?? '', scene.upstream.url)
    expect(url.pathname).toBe('/base/v1/items')
    expect(Object.fromEntries(url.searchParams)).toEqual({ fixed: '1', shared: 'u', extra: '1' })
    await scene.route(`${scene.upstream.url}/mcp`)
    await scene.call({ path: '/' })
    expect(scene.upstream.seen[1]?.url).toBe('/mcp')
    await scene.call({ path: '/a%2Fb' })
    expect(scene.upstream.seen[2]?.url).toBe('/mcp/a%2Fb')
    await scene.route(scene.upstream.url, [{ method: 'GET', path: '/a/b', scope: 'demo:read' }])
    await scene.call({ path: '/a%2Fb' })
    expect(scene.upstream.seen[3]?.url).toBe('/a/b')
  })

  test('41: response headers', async () => {
    await scene.route(scripted.url)
    script = (_request, response) => {
      response.writeHead(201, {
        server: 's',
        'x-powered-by': 'p',
        'x-aspnet-version': '1',
        'set-cookie': ['a=1', 'b=2'],
        'content-encoding': 'own',
      })
      response.end('ok')
    }
    const answer = await scene.call()
    expect(answer.status).toBe(201)
    for (const name of ['server', 'x-powered-by', 'x-aspnet-version'])
      expect(answer.headers[name]).toBeUndefined()
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2'])
    expect(answer.headers['content-encoding']).toBe('own')
    expect(answer.headers['x-caracal-token-expires-in']).toMatch(/^\d+$/)
  })

  test('42, 43: events arrive as they are sent and stop with the revocation', async () => {
    await scene.route(scripted.url)
    let closed = false
    let send: () => void = () => undefined
    let sent = 0
    script = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.on('close', () => {
        closed = true
      })
      send = () => {
        sent += 1
        if (sent <= 3) response.write(`data: ${sent}\n\n`)
      }
      send()
    }
    const delegation = await scene.delegate()
    const response = await scene.stage.open({
      mandate: await scene.mint({ delegation }),
      resource: demo,
      headers: { 'x-request-id': 'sse' },
    })
    expect(response.headers.trailer).toBe('X-Caracal-Revoked')
    let events = 0
    response.on('data', () => {
      events += 1
      // Only an event that was seen lets the upstream go on.
      send()
    })
    const reading = readAnswer(response)
    await eventually(() => events === 3)
    const revokedAt = performance.now()
    await scene.stage.publish('caracal.sessions.revoke', {
      zone_id: scene.zone.zoneId,
      delegation_edge_id: delegation.edgeId,
      reason: 'delegation_revoked',
    })
    const answer = await reading
    expect(performance.now() - revokedAt).toBeLessThan(5000)
    expect(answer.trailers).toEqual({ 'x-caracal-revoked': 'true' })
    await eventually(() => closed)
    const [event] = await scene.stage.evidence('sse', 'gateway_resource_request')
    expect(event?.metadata_json?.revocation_interrupted).toBe(true)
  })

  test('45: HEAD, 204, 304 and upgrades', async () => {
    await scene.route(scripted.url)
    script = (request, response) => {
      expect(request.headers.upgrade).toBeUndefined()
      response.statusCode = Number(request.url?.slice(1)) || 200
      response.end()
    }
    expect((await scene.call({ method: 'HEAD', path: '/200' })).status).toBe(200)
    for (const status of [204, 304]) {
      const answer = await scene.call({ path: `/${status}` })
      expect([answer.status, answer.headers.trailer]).toEqual([status, undefined])
    }
    const upgrade = { connection: 'Upgrade', upgrade: 'websocket' }
    expect((await scene.call({ path: '/200', headers: upgrade })).status).toBe(200)
  })

  test('46: a caller that leaves takes the upstream request along', async () => {
    await scene.route(scripted.url)
    let arrived = false
    let closed = false
    script = (_request, response) => {
      arrived = true
      response.on('close', () => {
        closed = true
      })
    }
    const leaving = new AbortController()
    scene.call({ signal: leaving.signal }).catch(() => undefined)
    await eventually(() => arrived)
    leaving.abort()
    await eventually(() => closed)
  })
})
