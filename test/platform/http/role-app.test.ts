import { createServer, request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { HTTPException } from 'hono/http-exception'
import { afterEach, describe, expect, test } from 'vitest'
import { readBearer } from '../../../src/platform/http/bearer.ts'
import { jsonBody, readBody } from '../../../src/platform/http/body.ts'
import {
  controlErrors,
  controlInvokeErrors,
  coordinatorErrors,
  oauthErrors,
} from '../../../src/platform/http/error-style.ts'
import { errorOf, errorRegistry } from '../../../src/platform/http/errors/registry.ts'
import { pageQuery } from '../../../src/platform/http/list-envelope.ts'
import { requestContext } from '../../../src/platform/http/request-context.ts'
import { createRoleApp, type RoleAppOptions } from '../../../src/platform/http/role-app.ts'
import { parseBody, parseQuery, pathIds } from '../../../src/platform/http/validate.ts'
import { createLogger } from '../../../src/platform/observe/logger.ts'
import { countFrom, createRegistry } from '../../../src/platform/observe/metrics.ts'
import * as v from '../../../src/platform/schema.ts'

function roleApp(overrides: Partial<RoleAppOptions> = {}) {
  const lines: string[] = []
  const { log } = createLogger({
    level: 'debug',
    env: 'test',
    version: '0',
    maxFieldBytes: 8192,
    sampleDebug: 1,
    destination: { write: (line) => void lines.push(line) },
  })
  const metrics = createRegistry()
  countFrom(metrics, 'caracal_test_total', 'A test', () => 7)
  const role = createRoleApp({
    log: log.child({ service: 'control' }),
    metrics,
    errorStyle: controlErrors,
    requestIdRule: 'token',
    trustProxy: false,
    bodyLimitBytes: 1024,
    privatePrefix: '/v1/',
    methodNotAllowed: true,
    ...overrides,
    operations: {
      mode: 'stable',
      metricsBearer: 'metrics-secret',
      health: () => ({ status: 200, body: { ok: true } }),
      ready: () => ({ status: 200, body: { ok: true } }),
      ...overrides.operations,
    },
  })
  const logged = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  return { ...role, lines, logged }
}

const post = (
  body: string | null,
  headers: Record<string, string> = { 'content-type': 'application/json' },
) => ({ method: 'POST', headers, ...(body === null ? {} : { body }) }) as RequestInit

describe('request context', () => {
  test('a well-formed request id is kept and echoed, on errors too', async () => {
    const { app } = roleApp()
    app.get('/v1/boom', () => {
      throw new Error('boom')
    })
    const response = await app.request('/v1/boom', { headers: { 'x-request-id': 'req-1:a.b_c' } })
    expect(response.headers.get('x-request-id')).toBe('req-1:a.b_c')
    expect(await response.json()).toEqual({
      error: 'internal_error',
      error_description: 'The service failed to process the request',
      requestId: 'req-1:a.b_c',
    })
  })

  test.each([
    ['token', 'bad id!', false],
    ['token', 'a/b', false],
    ['visible', 'a/b!', true],
    ['visible', 'a b', false],
    ['visible', 'x'.repeat(129), false],
  ] as const)('rule %s and id %s', async (requestIdRule, id, kept) => {
    const { app } = roleApp({ requestIdRule })
    const echoed = (await app.request('/health', { headers: { 'x-request-id': id } })).headers.get(
      'x-request-id',
    )
    if (kept) expect(echoed).toBe(id)
    else expect(echoed).toMatch(/^[0-9a-f-]{14}4/)
  })

  test('one access-log line per request with trace, path without query and notes', async () => {
    const { app, logged } = roleApp()
    app.get('/v1/zones/:zoneId', (c) => {
      requestContext(c).notes.zone_id = c.req.param('zoneId')
      requestContext(c).log.info('inside')
      return c.json({})
    })
    await app.request('/v1/zones/z1?api_key=abc', {
      headers: { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
    })
    const [inside, access] = logged()
    expect(inside).toMatchObject({
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      msg: 'inside',
      service: 'control',
    })
    expect(access).toMatchObject({
      level: 'info',
      msg: 'request',
      method: 'GET',
      path: '/v1/zones/z1',
      zone_id: 'z1',
      status: 200,
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      span_id: '00f067aa0ba902b7',
    })
    expect(access?.request_id).toBe(inside?.request_id)
  })

  test('a 401 says what it asks for, and whether what was given was refused', async () => {
    const { app } = roleApp({ realm: 'here' })
    app.get('/shut', () => {
      throw errorOf('unauthorized')
    })
    const asked = async (headers: Record<string, string>) =>
      (await app.request('/shut', { headers })).headers.get('www-authenticate')
    expect(await asked({})).toBe('Bearer realm="here"')
    expect(await asked({ authorization: 'Basic eDp5' })).toBe('Bearer realm="here"')
    expect(await asked({ authorization: 'Bearer x' })).toBe('Bearer realm="here", error="invalid_token"')
  })

  test('security headers under the private prefix only', async () => {
    const { app } = roleApp()
    app.get('/v1/x', (c) => c.json({}))
    const inside = await app.request('/v1/x')
    expect(inside.headers.get('cache-control')).toBe('no-store')
    expect(inside.headers.get('x-content-type-options')).toBe('nosniff')
    expect(inside.headers.get('referrer-policy')).toBe('no-referrer')
    expect((await app.request('/health')).headers.get('cache-control')).toBeNull()
  })
})

describe('errors', () => {
  test('what is thrown and unknown is internal_error: no text of it in the body, all of it in the log', async () => {
    const { app, lines } = roleApp()
    app.get('/v1/x', () => {
      throw new Error('relation "zones" does not exist')
    })
    const response = await app.request('/v1/x')
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain('zones')
    expect(lines.join('')).toContain('does not exist')
  })

  test('the private detail is logged, not sent; headers and extra members are sent', async () => {
    const { app, lines } = roleApp()
    app.get('/v1/x', () => {
      throw errorOf('rate_limited', {
        detail: 'bucket of zone 7',
        headers: { 'retry-after': '9' },
        body: { state: 'x' },
      })
    })
    const response = await app.request('/v1/x')
    expect(response.status).toBe(429)
    expect(response.headers.get('retry-after')).toBe('9')
    const body = await response.text()
    expect(JSON.parse(body)).toMatchObject({ error: 'rate_limited', state: 'x' })
    expect(body).not.toContain('zone 7')
    expect(lines.join('')).toContain('zone 7')
  })

  test('an unknown path is 404, another verb is 405 with Allow', async () => {
    const { app } = roleApp()
    app.get('/v1/zones/:zoneId', (c) => c.json({}))
    app.patch('/v1/zones/:zoneId', (c) => c.json({}))
    expect(await (await app.request('/v1/nowhere')).json()).toMatchObject({ error: 'not_found' })
    const response = await app.request('/v1/zones/z1', { method: 'DELETE' })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET, HEAD, PATCH')
  })

  test('a lower layer’s error is mapped by the role', async () => {
    class Gone extends Error {}
    const { app } = roleApp({
      mapError: (error) => (error instanceof Gone ? errorOf('sts_unavailable') : null),
    })
    app.get('/v1/x', () => {
      throw new Gone()
    })
    expect((await app.request('/v1/x')).status).toBe(503)
  })

  test('exceptions of the framework keep their class', async () => {
    const { app } = roleApp()
    app.post('/v1/x', () => {
      throw new HTTPException(400, { message: 'Malformed JSON in request body' })
    })
    expect(await (await app.request('/v1/x', { method: 'POST' })).json()).toMatchObject({
      error: 'invalid_body',
    })
  })

  test('styles', () => {
    const plain = errorOf('zone_mismatch')
    const issues = errorOf('invalid_body', { body: { details: { issues: [] } } })
    expect(oauthErrors(errorOf('access_denied', { message: '' }), '')).toEqual({ error: 'access_denied' })
    expect(coordinatorErrors(plain, 'r')).toEqual({ error: 'zone_mismatch' })
    expect(coordinatorErrors(issues, 'r')).toEqual({
      error: 'invalid_body',
      error_description: 'Request body failed validation',
      requestId: 'r',
      request_id: 'r',
      details: { issues: [] },
    })
    expect(coordinatorErrors(errorOf('idempotency_key_multiple'), 'r')).toMatchObject({ request_id: 'r' })
    expect(controlInvokeErrors(errorOf('denied', { message: 'missing scope control:x:y' }), 'r')).toEqual({
      ok: false,
      error: { code: 'denied', reason: 'missing scope control:x:y' },
    })
    expect(controlInvokeErrors(issues, 'r')).toMatchObject({ error: { code: 'invalid' } })
  })

  test('every registered code has an error status and a sentence', () => {
    for (const [code, [status, message]] of Object.entries(errorRegistry)) {
      expect(code).toMatch(/^[a-z][a-z_]+$/)
      expect(status).toBeGreaterThanOrEqual(400)
      expect(message.length).toBeGreaterThan(5)
    }
  })
})

describe('bodies', () => {
  const schema = v.strictObject({
    name: v.pipe(v.string(), v.minLength(1), v.maxLength(8)),
    client_secret: v.optional(v.pipe(v.string(), v.minLength(32))),
    nested: v.optional(v.object({ kind: v.picklist(['a', 'b']) })),
    odd: v.optional(
      v.pipe(
        v.number(),
        v.check((value) => value % 2 === 1, 'must be odd'),
      ),
    ),
  })

  function withRoute() {
    const role = roleApp()
    role.app.post('/v1/x', async (c) => c.json(await parseBody(c, schema)))
    role.app.post('/v1/optional', async (c) =>
      c.json({ got: (await parseBody(c, v.optional(schema))) ?? null }),
    )
    return role
  }

  test('a valid body arrives typed', async () => {
    const { app } = withRoute()
    expect(await (await app.request('/v1/x', post('{"name":"n"}'))).json()).toEqual({ name: 'n' })
  })

  test('issues carry path and our text, never a value', async () => {
    const { app, lines } = withRoute()
    const response = await app.request(
      '/v1/x',
      post(
        JSON.stringify({
          name: '',
          client_secret: 'hunter2-hunter2',
          nested: { kind: 'hunter2' },
          odd: 2,
          hunter: 'hunter2',
        }),
      ),
    )
    expect(response.status).toBe(400)
    const body = (await response.json()) as { error: string; details: { issues: unknown[] } }
    expect(body.error).toBe('invalid_body')
    expect(body.details.issues).toEqual(
      expect.arrayContaining([
        { path: ['name'], message: 'must have at least 1 elements or characters' },
        { path: ['client_secret'], message: 'must have at least 32 elements or characters' },
        { path: ['nested', 'kind'], message: 'must be one of ("a" | "b")' },
        { path: ['odd'], message: 'must be odd' },
        { path: ['hunter'], message: 'is not a known member' },
      ]),
    )
    expect(JSON.stringify(body) + lines.join('')).not.toContain('hunter2')
  })

  test('a missing member is required, a wrong type is named', async () => {
    const { app } = withRoute()
    const missing = (await (await app.request('/v1/x', post('{}'))).json()) as {
      details: { issues: unknown[] }
    }
    expect(missing.details.issues).toEqual([{ path: ['name'], message: 'is required' }])
    const wrong = (await (await app.request('/v1/x', post('{"name":5}'))).json()) as {
      details: { issues: unknown[] }
    }
    expect(wrong.details.issues).toEqual([{ path: ['name'], message: 'must be a string' }])
    expect(await (await app.request('/v1/x', post('5'))).json()).toMatchObject({
      details: { issues: [{ path: [], message: 'must be an object' }] },
    })
  })

  test.each([
    ['malformed JSON', post('{"client_secret":"hunter2'), 400, 'invalid_body'],
    [
      'another media type',
      post('name=n', { 'content-type': 'application/x-www-form-urlencoded' }),
      415,
      'unsupported_media_type',
    ],
    ['no media type', post('{"name":"n"}', {}), 415, 'unsupported_media_type'],
    ['deeper than 64 levels', post(`${'['.repeat(65)}${']'.repeat(65)}`), 400, 'invalid_body'],
    ['too large', post(JSON.stringify({ name: 'x'.repeat(2000) })), 413, 'payload_too_large'],
    [
      'invalid UTF-8',
      { ...post(null), body: Buffer.from([0x22, 0xff, 0x22]) } as RequestInit,
      400,
      'invalid_body',
    ],
  ])('%s', async (_name, init, status, code) => {
    const { app, lines } = withRoute()
    const response = await app.request('/v1/x', init)
    expect(response.status).toBe(status)
    const text = await response.text()
    expect(JSON.parse(text)).toMatchObject({ error: code })
    expect(text + lines.join('')).not.toContain('hunter2')
  })

  test('an absent body is undefined to the schema, with or without a JSON media type', async () => {
    const { app } = withRoute()
    expect(await (await app.request('/v1/optional', post(null, {}))).json()).toEqual({ got: null })
    expect(await (await app.request('/v1/optional', post(''))).json()).toEqual({ got: null })
    expect((await app.request('/v1/x', post(null, {}))).status).toBe(400)
  })

  test('control refuses an empty body with a JSON media type, before authentication', async () => {
    const { app } = roleApp()
    app.use('/v1/*', jsonBody({ emptyJson: 'refused' }), () => {
      throw errorOf('invalid_admin_token')
    })
    expect((await app.request('/v1/x', post(''))).status).toBe(400)
    expect((await app.request('/v1/x', post('{'))).status).toBe(400)
    expect((await app.request('/v1/x', post('{}'))).status).toBe(401)
    expect((await app.request('/v1/x', post(null, {}))).status).toBe(401)
  })
})

describe('queries and paths', () => {
  const schema = v.object({
    ...pageQuery({ defaultLimit: 200, maxLimit: 500 }),
    status: v.optional(v.string()),
  })

  function withRoute() {
    const { app } = roleApp()
    app.get('/v1/zones/:zoneId/x', (c) => {
      const { zoneId } = pathIds(c, 'zoneId')
      return c.json({ zoneId, ...parseQuery(c, schema, { repeated: 'refused' }) })
    })
    return app
  }

  test('defaults, coercion and unknown keys', async () => {
    const app = withRoute()
    expect(await (await app.request('/v1/zones/z%3A1/x?other=1&other=2')).json()).toEqual({
      zoneId: 'z:1',
      limit: 200,
    })
    expect(await (await app.request('/v1/zones/z/x?limit=10&cursor=abc')).json()).toEqual({
      zoneId: 'z',
      limit: 10,
      cursor: 'abc',
    })
  })

  test.each([
    'limit=0',
    'limit=501',
    'limit=x',
    'limit=1.5',
    'cursor=',
    'status=a&status=b',
    `cursor=${'c'.repeat(513)}`,
  ])('%s is invalid_query', async (query) => {
    const response = await withRoute().request(`/v1/zones/z/x?${query}`)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: 'invalid_query' })
  })

  test.each(['a%20b', 'a%2Fb', 'x'.repeat(129)])('path id %s is invalid_params', async (id) => {
    expect(await (await withRoute().request(`/v1/zones/${id}/x`)).json()).toMatchObject({
      error: 'invalid_params',
    })
  })
})

describe('operations', () => {
  test('metrics need the bearer; dev without a bearer is open; the operator token is accepted too', async () => {
    const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
    const { app } = roleApp()
    expect((await app.request('/metrics')).status).toBe(401)
    expect((await app.request('/metrics', bearer('metrics-secre'))).status).toBe(401)
    const response = await app.request('/metrics', bearer('metrics-secret'))
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(await response.text()).toContain('caracal_test_total 7')

    const base = {
      health: () => ({ status: 200, body: null }) as const,
      ready: () => ({ status: 200, body: null }) as const,
    }
    const closed = roleApp({ operations: { ...base, mode: 'stable', metricsBearer: null } })
    expect((await closed.app.request('/metrics')).status).toBe(401)
    const open = roleApp({ operations: { ...base, mode: 'dev', metricsBearer: null } })
    expect((await open.app.request('/metrics')).status).toBe(200)
    const both = roleApp({
      errorStyle: coordinatorErrors,
      operations: { ...base, mode: 'stable', metricsBearer: 'm', metricsOperatorToken: 'o' },
    })
    expect((await both.app.request('/metrics', bearer('o'))).status).toBe(200)
    expect((await both.app.request('/metrics', bearer('m'))).status).toBe(200)
    expect(await (await both.app.request('/metrics')).json()).toEqual({ error: 'unauthorized' })
    const own = roleApp({
      operations: { ...base, mode: 'rc', metricsBearer: 'm', metricsRefusal: () => errorOf('access_denied') },
    })
    expect(await (await own.app.request('/metrics')).json()).toMatchObject({ error: 'access_denied' })
  })

  test('health with an empty body, ready turns to draining', async () => {
    const role = roleApp({
      operations: {
        mode: 'dev',
        metricsBearer: null,
        health: () => ({ status: 200, body: null }),
        ready: () => ({ status: 200, body: { ok: true, ready: true } }),
      },
    })
    const health = await role.app.request('/health')
    expect([health.status, await health.text()]).toEqual([200, ''])
    expect(await (await role.app.request('/ready')).json()).toEqual({ ok: true, ready: true })
    role.drain()
    const ready = await role.app.request('/ready')
    expect([ready.status, await ready.json()]).toEqual([503, { ok: false, draining: true }])
  })

  test('bearer parsing', async () => {
    const { app } = roleApp()
    app.get('/v1/who', (c) => c.json({ token: readBearer(c) }))
    const ask = async (authorization: string) =>
      (
        (await (await app.request('/v1/who', { headers: { authorization } })).json()) as {
          token: string | null
        }
      ).token
    expect(await ask('Bearer  abc ')).toBe('abc')
    expect(await ask('bearer abc')).toBeNull()
    expect(await ask('Basic abc')).toBeNull()
    expect(await ask(`Bearer ${'x'.repeat(8193)}`)).toBeNull()
    expect(await ask(`Bearer ${'x'.repeat(8192)}`)).toHaveLength(8192)
  })
})

describe('over a socket', () => {
  let server: Server | undefined
  afterEach(() => new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve())))

  async function listen(overrides: Partial<RoleAppOptions> = {}) {
    const role = roleApp(overrides)
    role.app.post('/v1/raw', async (c) => c.json({ size: (await readBody(c, 1024)).length }))
    role.app.get('/v1/ip', (c) => c.json({ ip: requestContext(c).clientIp }))
    server = createServer(getRequestListener(role.app.fetch))
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }

  function send(port: number, path: string, chunks: readonly string[], headers: Record<string, string> = {}) {
    return new Promise<{ status: number; body: string }>((resolve, reject) => {
      const outgoing = httpRequest(
        { port, path, method: chunks.length > 0 ? 'POST' : 'GET', headers },
        (response) => {
          let body = ''
          response.on('data', (chunk) => {
            body += String(chunk)
          })
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
        },
      )
      outgoing.on('error', reject)
      for (const chunk of chunks) outgoing.write(chunk)
      outgoing.end()
    })
  }

  test('a chunked body is counted while it arrives', async () => {
    const port = await listen()
    expect(await send(port, '/v1/raw', ['x'.repeat(600), 'x'.repeat(400)])).toMatchObject({ status: 200 })
    const refused = await send(port, '/v1/raw', ['x'.repeat(600), 'x'.repeat(600)])
    expect(refused.status).toBe(413)
    expect(JSON.parse(refused.body)).toMatchObject({ error: 'payload_too_large' })
  })

  test('the forwarded address counts only with TRUST_PROXY, and only the last one', async () => {
    const forwarded = { 'x-forwarded-for': '203.0.113.9, 198.51.100.7' }
    expect((await send(await listen(), '/v1/ip', [], forwarded)).body).toBe('{"ip":"127.0.0.1"}')
    await new Promise<void>((resolve) => server?.close(() => resolve()))
    expect((await send(await listen({ trustProxy: true }), '/v1/ip', [], forwarded)).body).toBe(
      '{"ip":"198.51.100.7"}',
    )
  })
})
