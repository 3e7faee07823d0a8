/** Steps 16–20 over real sockets: what reaches the upstream, what comes back. */

import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseCompact, verifySignature } from '../../../src/platform/jose/compact.ts'
import { openStage, type Stage, startRawUpstream, startUpstream, type Upstream } from './stage.ts'

let stage: Stage
let upstream: Upstream

beforeAll(async () => {
  stage = await openStage({ settings: { MAX_REQUEST_BYTES: 1000, UPSTREAM_TIMEOUT: 400 } })
  upstream = await startUpstream()
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})
beforeEach(() => {
  stage.route(upstream.url)
  upstream.seen.length = 0
})

const names = (): string[] =>
  (upstream.seen[0]?.rawHeaders ?? []).filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())

describe('request headers', () => {
  it('sends only what may travel and what the gateway says itself', async () => {
    await stage.call({
      headers: {
        connection: 'X-Hop',
        'x-hop': '1',
        'proxy-authorization': 'Basic x',
        forwarded: 'for=1.1.1.1',
        'x-real-ip': '1.1.1.1',
        'x-forwarded-for': '1.1.1.1',
        'x-caracal-upstream': 'http://evil',
        'x-caracal-identity': 'forged',
        baggage: 'caracal.hop=1,tenant=h',
        'x-keep': 'v',
        te: 'trailers',
        'x-request-id': 'r-1',
        cookie: 'c=1',
      },
    })
    expect(names().sort()).toEqual(
      [
        'baggage',
        'connection',
        'cookie',
        'host',
        'traceparent',
        'x-forwarded-for',
        'x-forwarded-host',
        'x-forwarded-proto',
        'x-keep',
        'x-request-id',
      ].sort(),
    )
    expect(upstream.seen[0]?.headers).toMatchObject({
      baggage: 'tenant=h',
      host: upstream.host,
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': `127.0.0.1:${stage.port}`,
      'x-forwarded-proto': 'http',
      'x-request-id': 'r-1',
    })
    expect(upstream.seen[0]?.headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  })

  it('knows a name by either spelling, as an upstream behind CGI does', async () => {
    stage.route(upstream.url, {
      auth_mode: 'provider_apikey',
      auth_location: 'header',
      auth_header: 'X-Api-Key',
      provider_token: 'k-1',
    })
    const spelled = {
      X_Api_Key: 'callers',
      x_forwarded_for: '1.1.1.1',
      X_Caracal_Identity: 'forged',
      'X-Caracal_Identity': 'forged',
      x_request_id: 'forged',
      X_Real_IP: '1.1.1.1',
      x_keep: 'v',
    }
    await stage.call({ headers: spelled })
    expect(names().filter((name) => name.includes('_'))).toEqual(['x_keep'])
    expect(upstream.seen[0]?.headers['x-api-key']).toBe('k-1')
  })

  it.each([
    'X-HTTP-Method',
    'X-HTTP-Method-Override',
    'X_HTTP_Method_Override',
    'X-Method-Override',
    'X-Original-URL',
    'X-Rewrite-URL',
  ])('%s asks for another operation than was judged: refused, and passed on where none was', async (name) => {
    const headers = { [name]: 'DELETE' }
    const answer = await stage.call({ method: 'POST', headers })
    expect([answer.status, answer.json().error_description]).toEqual([400, 'upstream request build failed'])
    expect(upstream.seen).toHaveLength(0)
    stage.route(upstream.url, { transport_uniform: true })
    await stage.call({ method: 'POST', headers })
    expect(upstream.seen[0]?.headers[name.toLowerCase()]).toBe('DELETE')
  })

  it('never sends a method that echoes its request', async () => {
    stage.route(upstream.url, { auth_mode: 'provider_oauth', provider_token: 'secret-of-the-upstream' })
    const answer = await stage.call({ method: 'TRACE' })
    expect([answer.status, answer.json().error_description]).toEqual([400, 'upstream request build failed'])
    expect(upstream.seen).toHaveLength(0)
  })

  it('35: keeps a valid traceparent and replaces any other', async () => {
    const id = '4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7'
    for (const value of [`00-${id}-01`, `00-${id}-00`, `01-${id}-01-extra`, `cc-${id}-01`]) {
      upstream.seen.length = 0
      await stage.call({ headers: { traceparent: value } })
      expect(upstream.seen[0]?.headers.traceparent).toBe(value)
    }
    const bad = [
      'x',
      `00-${id}-01-extra`,
      `ff-${id}-01`,
      `00-${id.toUpperCase()}-01`,
      `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
      `00-4bf92f3577b34da6a3ce929d0e0e4736-${'0'.repeat(16)}-01`,
    ]
    for (const value of bad) {
      upstream.seen.length = 0
      await stage.call({ headers: { traceparent: value } })
      expect(upstream.seen[0]?.headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
      expect(upstream.seen[0]?.headers.traceparent).not.toBe(value)
    }
  })

  it('drops a baggage header that held nothing else', async () => {
    await stage.call({ headers: { baggage: 'caracal.session=s, caracal.hop=2' } })
    expect(names()).not.toContain('baggage')
  })
})

describe('credentials', () => {
  const sent = (name: string) => upstream.seen[0]?.headers[name]

  it('none: no authorization', async () => {
    await stage.call()
    expect(sent('authorization')).toBeUndefined()
  })

  it('caracal_mandate: the resource mandate, never the inbound one', async () => {
    const mandate = stage.sts.mint()
    stage.route(upstream.url, {
      auth_mode: 'caracal_jwt',
      auth_header: 'Authorization',
      auth_scheme: 'Bearer',
    })
    await stage.call({ mandate })
    const [scheme, token] = String(sent('authorization')).split(' ')
    expect(scheme).toBe('Bearer')
    expect(token).not.toBe(mandate)
    const jws = parseCompact(token ?? '')
    expect(jws?.claims).toMatchObject({ aud: ['resource://demo'], use: 'resource' })
    const key = stage.sts.keys[0]
    expect(jws !== null && key !== undefined && verifySignature(jws, key.publicKey)).toBe(true)
    expect(JSON.stringify(upstream.seen[0]?.rawHeaders)).not.toContain(mandate)
  })

  it('api_key in a header, raw and with a scheme, replacing the caller’s', async () => {
    const api = { auth_mode: 'provider_apikey', auth_location: 'header', provider_token: 'k-1' }
    stage.route(upstream.url, { ...api, auth_header: 'X-Api-Key' })
    await stage.call({ headers: { 'x-api-key': 'callers' } })
    expect(sent('x-api-key')).toBe('k-1')
    upstream.seen.length = 0
    stage.route(upstream.url, { ...api, auth_header: 'Authorization', auth_scheme: 'Token' })
    await stage.call()
    expect(sent('authorization')).toBe('Token k-1')
  })

  it('api_key in the query replaces a parameter of the same name', async () => {
    stage.route(`${upstream.url}/?fixed=1`, {
      auth_mode: 'provider_apikey',
      auth_location: 'query',
      query_param_name: 'key',
      provider_token: 's3 cret',
    })
    await stage.call({ path: '/a?key=callers&x=1' })
    expect(upstream.seen[0]?.url).toBe('/a?fixed=1&x=1&key=s3+cret')
  })

  it('bearer_token with own header and scheme; http_basic', async () => {
    stage.route(upstream.url, {
      auth_mode: 'provider_oauth',
      auth_header: 'X-Auth',
      auth_scheme: 'Key',
      provider_token: 't',
    })
    await stage.call()
    expect(sent('x-auth')).toBe('Key t')
    upstream.seen.length = 0
    const basic = Buffer.from('u:p').toString('base64')
    stage.route(upstream.url, { auth_mode: 'provider_oauth', auth_scheme: 'Basic', provider_token: basic })
    await stage.call()
    expect(sent('authorization')).toBe(`Basic ${basic}`)
  })

  it('identity only when asked for, and never back to the caller', async () => {
    stage.route(upstream.url, {
      auth_mode: 'provider_oauth',
      auth_scheme: 'Bearer',
      provider_token: 't',
      forward_caracal_identity: true,
    })
    await stage.call()
    expect(parseCompact(String(sent('x-caracal-identity')))?.claims.use).toBe('resource')
    const echo = await startUpstream((request, response) => {
      response.setHeader('x-caracal-identity', String(request.headers['x-caracal-identity']))
      response.setHeader('x-caracal-revoked', 'forged')
      response.end('ok')
    })
    stage.route(echo.url, {
      auth_mode: 'provider_oauth',
      provider_token: 't',
      forward_caracal_identity: true,
    })
    const answer = await stage.call()
    expect(answer.headers['x-caracal-identity']).toBeUndefined()
    expect(answer.headers['x-caracal-revoked']).toBeUndefined()
    await echo[Symbol.asyncDispose]()
  })

  it.each([
    ['unknown mode', { auth_mode: 'aws_sigv4' }],
    ['reserved header', { auth_mode: 'provider_oauth', provider_token: 't', auth_header: 'Host' }],
    [
      'own namespace',
      { auth_mode: 'provider_oauth', provider_token: 't', auth_header: 'X-Caracal-Identity' },
    ],
    ['not a token', { auth_mode: 'provider_oauth', provider_token: 't', auth_header: 'a b' }],
    ['line break in the credential', { auth_mode: 'provider_oauth', provider_token: 'a\r\nX-Evil: 1' }],
    ['empty credential', { auth_mode: 'provider_oauth', provider_token: '' }],
    ['no parameter name', { auth_mode: 'provider_apikey', auth_location: 'query', provider_token: 't' }],
  ])('400 build failed, nothing dialled: %s', async (_name, directive) => {
    stage.route(upstream.url, directive)
    const answer = await stage.call({ headers: { 'x-request-id': `build-${_name.replaceAll(' ', '-')}` } })
    expect([answer.status, answer.json().error, answer.json().error_description]).toEqual([
      400,
      'internal_error',
      'upstream request build failed',
    ])
    expect(upstream.seen).toHaveLength(0)
    const [event] = await stage.evidence(`build-${_name.replaceAll(' ', '-')}`, 'gateway_resource_request')
    expect(event).toMatchObject({
      decision: 'allow',
      evaluation_status: 'build_failed',
      metadata_json: { error_kind: 'request_build_failed', gateway_status: 400, latency_ms: 0 },
    })
  })
})

describe('credentials that the upstream says back', () => {
  const secret = 'the-real-key/1+2'
  /** Says in every place of a head, and in a trailer, what it was told; the body is its own affair. */
  const startEcho = () =>
    startUpstream((request, response) => {
      const told = [request.url, ...Object.values(request.headers)].join(' ')
      response.writeHead(301, told, {
        location: request.url?.replace('?', '/?'),
        link: `<http://elsewhere.example${request.url}&page=2>; rel="next"`,
        'x-debug': ['harmless', told],
        'x-decoded': decodeURIComponent(request.url?.replaceAll('+', ' ') ?? ''),
        'x-keep': 'v',
        trailer: 'x-late',
      })
      response.addTrailers({ 'x-late': told })
      response.end('moved')
    })

  it.each([
    ['in the query', { auth_location: 'query', query_param_name: 'key' }],
    ['in a header', { auth_location: 'header', auth_header: 'X-Api-Key' }],
    ['with an identity', { auth_location: 'query', query_param_name: 'key', forward_caracal_identity: true }],
  ])('do not reach the caller in a header, a reason or a trailer: %s', async (_where, placement) => {
    await using echo = await startEcho()
    stage.route(echo.url, { auth_mode: 'provider_apikey', provider_token: secret, ...placement })
    const answer = await stage.call({ path: '/a?x=1' })
    expect([answer.status, answer.body, answer.headers['x-keep']]).toEqual([301, 'moved', 'v'])
    expect(answer.rawHeaders).toContain('harmless')
    const head = JSON.stringify([answer.reason, answer.rawHeaders, answer.trailers])
    for (const text of [secret, encodeURIComponent(secret), 'eyJ']) expect(head).not.toContain(text)
    if (placement.auth_location === 'header') expect(answer.headers.location).toBe('/a/?x=1')
  })

  it('nor does the resource mandate', async () => {
    await using echo = await startEcho()
    stage.route(echo.url, { auth_mode: 'caracal_jwt' })
    const answer = await stage.call({ path: '/a?x=1' })
    expect(answer.headers.location).toBe('/a/?x=1')
    expect(JSON.stringify([answer.reason, answer.rawHeaders, answer.trailers])).not.toContain('eyJ')
  })
})

describe('path and query', () => {
  it.each([
    ['/base?fixed=1&shared=u', '/v1/items?shared=c&extra=1', '/base/v1/items?fixed=1&shared=u&extra=1'],
    ['/mcp', '/', '/mcp'],
    ['/mcp/', '/tool', '/mcp/tool'],
    ['/mcp', '/tool/', '/mcp/tool/'],
    ['/', '/a//b', '/a//b'],
    ['/base', '//a', '/base/a'],
    ['', '/a%2Fb%20c%C3%A9', '/a/b%20c%C3%A9'],
    ['', '/x?b=2&a=%41&c', '/x?b=2&a=%41&c'],
    ['', '/x?', '/x'],
  ])('%s + %s → %s', async (base, path, expected) => {
    stage.route(`${upstream.url}${base}`)
    await stage.call({ path })
    expect(upstream.seen[0]?.url).toBe(expected)
  })

  it.each([
    ['', '/a%2Fb%20c%C3%A9/d%3fe%23f', '/a%2Fb%20c%C3%A9/d%3Fe%23f'],
    ['/base/', '/a%2fb//c', '/base/a%2Fb/c'],
    ['', '/%2Fhost/%252Fx', '/%2Fhost/%252Fx'],
  ])('escapes stay where no path was judged: %s + %s → %s', async (base, path, expected) => {
    stage.route(`${upstream.url}${base}`, { transport_uniform: true })
    await stage.call({ path })
    expect(upstream.seen[0]?.url).toBe(expected)
    const climbing = await stage.call({ path: '/a%2F..%2Fb' })
    expect(climbing.status).toBe(400)
  })

  it('400 when a query that must be merged cannot be parsed', async () => {
    stage.route(`${upstream.url}/?a=1`)
    for (const query of ['b=%zz', 'b=1;a=2']) {
      const answer = await stage.call({ path: `/x?${query}` })
      expect([answer.status, answer.json().error_description]).toEqual([400, 'upstream request build failed'])
    }
    expect(upstream.seen).toHaveLength(0)
  })

  it('takes the path of an absolute-form target', async () => {
    await stage.call({ path: `http://elsewhere.example/abs?q=1` })
    expect(upstream.seen[0]?.url).toBe('/abs?q=1')
  })
})

describe('request body', () => {
  it('keeps a known length, re-chunks an unknown one', async () => {
    await stage.call({ method: 'POST', body: 'hello', headers: { 'content-length': '5' } })
    expect(upstream.seen[0]?.headers['content-length']).toBe('5')
    expect(upstream.seen[0]?.body.toString()).toBe('hello')
    upstream.seen.length = 0
    await stage.call({ method: 'PUT', body: 'hello', headers: { 'transfer-encoding': 'chunked' } })
    expect(upstream.seen[0]?.headers['content-length']).toBeUndefined()
    expect(upstream.seen[0]?.body.toString()).toBe('hello')
  })

  it('sends none for GET without one, and one for DELETE with one', async () => {
    await stage.call()
    expect(names()).not.toContain('content-length')
    expect(names()).not.toContain('transfer-encoding')
    upstream.seen.length = 0
    await stage.call({ method: 'DELETE', body: 'why', headers: { 'content-length': '3' } })
    expect(upstream.seen[0]?.body.toString()).toBe('why')
  })

  it('413 when a chunked body grows past the limit', async () => {
    const answer = await stage.call({
      method: 'POST',
      body: 'x'.repeat(5000),
      headers: { 'transfer-encoding': 'chunked' },
    })
    expect([answer.status, answer.json().error]).toEqual([413, 'payload_too_large'])
    expect(upstream.seen).toHaveLength(0)
  })

  it('relays an early answer of the upstream and keeps the caller’s connection usable', async () => {
    const early = await startUpstream((request, response) => {
      response.writeHead(401, { 'content-length': '4' })
      response.end('stop')
      request.resume()
    })
    stage.route(early.url)
    const answer = await stage.call({
      method: 'POST',
      body: 'x'.repeat(900),
      headers: { 'transfer-encoding': 'chunked' },
    })
    expect([answer.status, answer.body]).toEqual([401, 'stop'])
    await early[Symbol.asyncDispose]()
  })
})

describe('response headers', () => {
  it('drops what identifies, routes or forges; keeps the rest', async () => {
    const server = await startUpstream((_request, response) => {
      response.writeHead(
        418,
        'Teapot',
        [
          ['Server', 'secret/1'],
          ['X-Powered-By', 'x'],
          ['X-AspNet-Version', '1'],
          ['X-AspNetMvc-Version', '1'],
          ['Keep-Alive', 'timeout=5'],
          ['Connection', 'X-Gone'],
          ['X-Gone', '1'],
          ['Refresh', '0; url=http://evil'],
          ['X-Request-Id', 'upstreams'],
          ['Set-Cookie', 'a=1'],
          ['Set-Cookie', 'b=2'],
          ['Content-Encoding', 'x-own'],
          ['X-Keep', 'v'],
          ['Content-Length', '2'],
        ].flat() as unknown as string[],
      )
      response.end('ok')
    })
    stage.route(server.url)
    const answer = await stage.call({ headers: { 'x-request-id': 'mine' } })
    expect(answer.status).toBe(418)
    for (const name of [
      'server',
      'x-powered-by',
      'x-aspnet-version',
      'x-aspnetmvc-version',
      'x-gone',
      'refresh',
    ]) {
      expect(answer.headers[name]).toBeUndefined()
    }
    expect(answer.headers).toMatchObject({
      'set-cookie': ['a=1', 'b=2'],
      'content-encoding': 'x-own',
      'x-keep': 'v',
      'content-length': '2',
      'x-request-id': 'mine',
    })
    expect(answer.rawHeaders.filter((name) => name.toLowerCase() === 'x-request-id')).toHaveLength(1)
    expect(Number(answer.headers['x-caracal-token-expires-in'])).toBeGreaterThan(200)
    expect(answer.headers.trailer).toBeUndefined()
    await server[Symbol.asyncDispose]()
  })

  it('keeps repeated headers under a listener that is leaving', async () => {
    const server = await startUpstream((_request, response) => {
      response.setHeader('set-cookie', ['a=1', 'b=2'])
      response.end('ok')
    })
    const closing = await startUpstream((request, response) => {
      response.shouldKeepAlive = false
      stage.gateway.intercept(request, response)
    })
    stage.route(server.url)
    const answer = await fetch(`${closing.url}/x`, {
      headers: { authorization: `Bearer ${stage.sts.mint()}`, 'x-caracal-resource': 'resource://demo' },
    })
    expect([answer.status, await answer.text()]).toEqual([200, 'ok'])
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(answer.headers.get('connection')).toBe('close')
    await closing[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  it.each([
    ['http://127.0.0.1:9/steal', undefined],
    ['//host/x', undefined],
    ['/\\host/x', undefined],
    ['ht\ttp://host', undefined],
    [' //host', undefined],
    ['javascript:alert(1)', undefined],
    ['/v2', '/v2'],
    ['v2?x=1', 'v2?x=1'],
  ])('302 to %s is returned unfollowed, location %s', async (location, expected) => {
    const server = await startUpstream((_request, response) => {
      response.writeHead(302, { location, 'content-location': location })
      response.end()
    })
    stage.route(server.url)
    const answer = await stage.call()
    expect(answer.status).toBe(302)
    expect(answer.headers.location).toBe(expected)
    expect(answer.headers['content-location']).toBe(expected)
    await server[Symbol.asyncDispose]()
  })

  it('HEAD, 204 and 304 carry neither body nor trailer', async () => {
    const server = await startUpstream((request, response) => {
      response.statusCode = Number(request.url?.slice(1))
      if (response.statusCode === 200) response.setHeader('content-length', '7')
      response.end()
    })
    stage.route(server.url)
    const head = await stage.call({ method: 'HEAD', path: '/200' })
    expect([head.status, head.headers['content-length'], head.headers.trailer]).toEqual([200, '7', undefined])
    for (const status of [204, 304]) {
      const answer = await stage.call({ path: `/${status}` })
      expect([answer.status, answer.body, answer.headers.trailer]).toEqual([status, '', undefined])
    }
    await server[Symbol.asyncDispose]()
  })

  it.each([
    ['before the length', 'Content-Disposition: attachment; filename="naïve 日本.txt"\r\nContent-Length: 2'],
    ['after the length', 'Content-Length: 2\r\nContent-Disposition: attachment; filename="naïve 日本.txt"'],
    ['of a stream', 'X-Name: naïve 日本\r\nConnection: close'],
  ])('text outside ASCII keeps its bytes, %s', async (_where, head) => {
    await using raw = await startRawUpstream((socket) =>
      socket.end(`HTTP/1.1 201 Created\r\n${head}\r\n\r\nok`),
    )
    stage.route(raw.url)
    const answer = await stage.call()
    expect([answer.status, answer.body]).toEqual([201, 'ok'])
    const text = answer.headers['content-disposition'] ?? answer.headers['x-name']
    expect(Buffer.from(String(text), 'latin1').toString('utf8')).toContain('naïve 日本')
  })

  it('a 304 may name the length of what it leaves out', async () => {
    await using raw = await startRawUpstream((socket) =>
      socket.write('HTTP/1.1 304 Not Modified\r\nContent-Length: 20\r\nETag: "a"\r\n\r\n'),
    )
    stage.route(raw.url)
    const answer = await stage.call({ headers: { 'x-request-id': 'not-modified' } })
    expect(answer).toMatchObject({ status: 304, complete: true })
    expect(answer.headers).toMatchObject({ 'content-length': '20', etag: '"a"' })
    const [event] = await stage.evidence('not-modified', 'gateway_resource_request')
    expect(event?.evaluation_status).toBe('executed')
  })

  it('serves an upgrade request as a plain one', async () => {
    const answer = await stage.call({ headers: { connection: 'Upgrade', upgrade: 'websocket' } })
    expect(answer.status).toBe(200)
    expect(names()).not.toContain('upgrade')
  })
})

describe('failing upstreams', () => {
  const expectAnswer = async (status: number, description: string, requestId: string): Promise<void> => {
    const answer = await stage.call({ headers: { 'x-request-id': requestId }, path: '/secret-path?secret=1' })
    expect([answer.status, answer.json()]).toEqual([
      status,
      { error: 'internal_error', error_description: description, requestId },
    ])
  }

  it('502 when it refuses', async () => {
    stage.route('http://127.0.0.1:9')
    await expectAnswer(502, 'upstream unreachable', 'refused')
    const [event] = await stage.evidence('refused', 'gateway_resource_request')
    expect(event).toMatchObject({
      evaluation_status: 'upstream_error',
      metadata_json: { error_kind: 'transport_error', gateway_status: 502, upstream_host: '127.0.0.1' },
    })
    expect(JSON.stringify(event)).not.toContain('secret')
  })

  it('504 when it never answers, 502 when it answers nonsense or resets', async () => {
    const answers: ((socket: import('node:net').Socket) => void)[] = [
      () => undefined,
      (socket) => socket.end('HTTP/1.1 200 OK\r\nBad Header\r\n\r\n'),
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n'),
      (socket) => socket.end('SSH-2.0-OpenSSH\r\n'),
      (socket) => socket.resetAndDestroy(),
      (socket) => socket.end(`HTTP/1.1 200 OK\r\nX-Big: ${'a'.repeat(40_000)}\r\n\r\n`),
    ]
    let next = 0
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => answers[next++]?.(socket))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    stage.route(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    await expectAnswer(504, 'upstream timeout', 'silent')
    for (let index = 1; index < answers.length; index += 1) {
      await expectAnswer(502, 'upstream unreachable', `nonsense-${index}`)
    }
    expect(next).toBe(answers.length)
    await new Promise((resolve) => server.close(resolve))
  })

  it('reads an HTTP/1.0 answer to the end of the connection', async () => {
    const server = createServer((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello ')
        setTimeout(() => socket.end('world'), 50)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    stage.route(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const answer = await stage.call()
    expect([answer.status, answer.body, answer.complete]).toEqual([200, 'hello world', true])
    await new Promise((resolve) => server.close(resolve))
  })

  it('one call is one upstream request', async () => {
    let hits = 0
    const server = await startUpstream((_request, response) => {
      hits += 1
      response.socket?.destroy()
    })
    stage.route(server.url)
    stage.sts.exchanges.length = 0
    const answer = await stage.call()
    expect([answer.status, hits, stage.sts.exchanges.length]).toEqual([502, 1, 1])
    await server[Symbol.asyncDispose]()
  })
})

describe('evidence', () => {
  it('one event per governed call, with the outcome and without the request', async () => {
    stage.route(upstream.url, { auth_mode: 'provider_oauth', provider_token: 'top', provider_id: 'p-1' })
    const mandate = stage.sts.mint()
    const answer = await stage.call({
      mandate,
      method: 'POST',
      path: '/very/private?q=hidden',
      body: 'payload',
      headers: { 'x-request-id': 'evidence-1' },
    })
    const events = await stage.evidence('evidence-1')
    expect(events).toHaveLength(1)
    expect(events[0]).toMatchObject({
      zone_id: 'zone-1',
      event_type: 'gateway_resource_request',
      decision: 'allow',
      evaluation_status: 'executed',
      determining_policies_json: [],
      diagnostics_json: [],
      metadata_json: {
        application_id: 'app-1',
        resource: 'resource://demo',
        method: 'POST',
        gateway_status: 200,
        response_bytes: answer.bytes.length,
        subject_kind: 'application',
        upstream_host: '127.0.0.1',
        auth_mode: 'provider_oauth',
        provider_id: 'p-1',
        upstream_status: 200,
        result_class: 'success',
      },
    })
    expect(events[0]?.metadata_json?.trace_id).toMatch(/^[0-9a-f]{32}$/)
    expect(Number.isInteger(events[0]?.metadata_json?.latency_ms)).toBe(true)
    const text = JSON.stringify(events[0])
    for (const secret of ['top', 'private', 'hidden', 'payload', mandate]) expect(text).not.toContain(secret)
  })
})
