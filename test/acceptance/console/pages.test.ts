/** The console's pages over real sockets (sdk-cli-console §13.1 and §16, checks 61 and 64). */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect } from 'vitest'
import { type Listener, openListener } from '../../../src/server/listener.ts'
import { seam, seams } from '../../fixtures/seam.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { adminToken, createStage, type Stage } from '../../roles/control/stage.ts'

const directory = mkdtempSync(join(tmpdir(), 'caracal-pages-'))
let stage: Stage
let management: Listener
let people: Listener

beforeAll(async () => {
  if (!inOneProcess) return
  mkdirSync(join(directory, 'assets'))
  writeFileSync(join(directory, 'index.html'), '<!doctype html><title>Caracal</title>')
  writeFileSync(join(directory, 'favicon.svg'), '<svg/>')
  writeFileSync(join(directory, 'secret'), 'not for anybody')
  writeFileSync(join(directory, 'secret.txt'), 'not for anybody')
  writeFileSync(join(directory, 'assets', 'app-1a2b.js'), 'plain')
  writeFileSync(join(directory, 'assets', 'app-1a2b.js.br'), 'brotli')
  writeFileSync(join(directory, 'assets', 'app-1a2b.js.gz'), 'gzip')
  stage = await createStage({ consoleDirectory: directory })
  const { app, front, limits } = stage.control
  const where = { limits, host: '127.0.0.1', port: 0, portVariable: 'PORT' }
  management = await openListener({ ...where, name: 'control', app })
  people = await openListener({ ...where, name: 'console', app: front })
})
afterAll(async () => {
  await management?.close(100)
  await people?.close(100)
  await stage?.[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

/** The path is sent as it is written: `fetch` would put it right first. */
function send(
  listener: Listener,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: listener.port, path, method, headers }, async (answer) => {
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: await text(answer) })
    })
      .on('error', reject)
      .end()
  })
}

seams('reads a directory of its own')('pages', () => {
  const everywhere = {
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'x-request-id': expect.any(String),
  }

  seam('own')('61: a place inside the app is the app, under its policy', async () => {
    for (const [listener, path] of [
      [management, '/console'],
      [management, '/console/policies/anything?x=1'],
      [people, '/console/policies/anything'],
      [people, '/'],
      [people, '/policies/anything'],
    ] as const) {
      const page = await send(listener, path)
      expect(page.status, path).toBe(200)
      expect(page.body).toContain('<title>Caracal')
      expect(page.headers).toMatchObject({
        ...everywhere,
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-cache',
      })
      const policy = String(page.headers['content-security-policy'])
      for (const rule of [
        "default-src 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "form-action 'self'",
      ])
        expect(policy).toContain(rule)
      expect(policy).not.toContain('unsafe')
      expect(page.headers['strict-transport-security']).toBeUndefined()
    }
    expect((await send(management, '/')).status).toBe(404)
    expect((await send(people, '/policies', { headers: { authorization: 'Bearer x' } })).status).toBe(404)
    expect((await send(management, '/policies')).status).toBe(404)
    expect((await send(people, '/policies', { method: 'POST' })).status).toBe(404)
    expect(await send(people, '/policies', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' })
  })

  seam('own')('every answer of the port for people has the headers', async () => {
    for (const [method, path] of [
      ['POST', '/'],
      ['GET', '/health'],
      ['GET', '/api/nope'],
      ['GET', '/v1/zones'],
      ['GET', '/console/../secret'],
    ] as const)
      expect((await send(people, path, { method })).headers, path).toMatchObject(everywhere)
  })

  seam('own')('the id of a request stands in the query, where it may be anything', async () => {
    for (const id of ['my.req.1', '..%2Fx', '%2e%2e']) {
      expect((await send(people, `/console/zones/z/audit?request=${id}`)).status).toBe(200)
      const explain = `/api/console/v1/zones/z/audit/explain?request_id=${id}`
      expect((await send(people, explain)).status).toBe(401)
    }
  })

  seam('own')('61, 64: no spelling of a path leads out of the app', async () => {
    for (const listener of [management, people])
      for (const path of [
        '/console/../secret',
        '/console/%2e%2e/secret',
        '/console/..%2fsecret',
        '/console/..%5csecret',
        '/console/secret.txt',
        '/assets/../secret',
        '/assets/..%2fsecret.txt',
        '/assets/%2e%2e/index.html',
        '/x/../console/zones',
        '/../secret',
        '/%2e%2e/secret',
        '/console/missing.js',
        '/assets/missing.js',
        '/assets/missing',
        '/api/console/../../metrics',
        '/console/../health',
        '/console/%2e%2e/v1/openapi.json',
        '/metrics/../console',
        '/assets/..//console',
        '/api/console/v1/../../../metrics',
        '/api/console/v1/%2e%2e/%2E%2E/metrics',
        '/api/console/v1/..%2fmetrics',
        '/api/console/../../metrics',
        '/console/../health',
        '/console/%2e%2e/v1/openapi.json',
        '/metrics/../console',
        '/assets/..//console',
        '/api/nothing',
        '/.well-known/nothing',
      ]) {
        const answer = await send(listener, path)
        expect([path, answer.status]).toEqual([path, 404])
        expect(answer.body).not.toContain('anybody')
        expect(answer.body).not.toContain('<title>')
      }
  })

  seam('own')('files of the app are kept, packed as the browser takes them', async () => {
    const path = '/assets/app-1a2b.js'
    const plain = await send(management, path)
    expect(plain).toMatchObject({ status: 200, body: 'plain' })
    expect(plain.headers).toMatchObject({
      ...everywhere,
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
      vary: 'accept-encoding',
    })
    const packed = async (accepted: string) => {
      const { headers, body } = await send(people, path, { headers: { 'accept-encoding': accepted } })
      return [headers['content-encoding'], body]
    }
    expect(await packed('gzip, deflate, br')).toEqual(['br', 'brotli'])
    expect(await packed('gzip, br;q=0')).toEqual(['gzip', 'gzip'])
    expect(await packed('identity')).toEqual([undefined, 'plain'])
    expect((await send(people, '/favicon.svg')).headers['content-type']).toBe('image/svg+xml')
  })

  seam('own')('the port for people keeps what the management port has', async () => {
    for (const path of ['/health', '/ready', '/openapi.json', '/docs'])
      expect((await send(people, path)).status, path).toBe(200)
    expect((await send(people, '/v1/zones')).status).toBe(401)
    expect((await send(people, '/v1/nope')).status).toBe(401)
    expect(
      (await send(people, '/v1/zones', { headers: { authorization: `Bearer ${adminToken}` } })).status,
    ).toBe(200)
    expect((await send(people, '/api/console/v1/zones')).status).toBe(401)
  })

  seam('own')('over the wire the address, the request id and the origin are the browser’s', async () => {
    const origin = management.url
    const headers = { origin, 'content-type': 'application/json' }
    const signIn = await fetch(`${origin}/api/console/auth/session`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ token: adminToken }),
    })
    expect(signIn.status).toBe(200)
    const cookie = signIn.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    const made = await fetch(`${origin}/api/console/v1/zones`, {
      method: 'POST',
      headers: { ...headers, cookie },
      body: JSON.stringify({ name: 'Over the wire' }),
    })
    expect(made.status).toBe(201)
    const requestId = made.headers.get('x-request-id') ?? ''
    expect(made.headers.getSetCookie()).toEqual([])
    const rows = await stage.database.admin`select 1 from admin_audit_events where request_id = ${requestId}`
    expect(rows).toHaveLength(1)
    const chunked = await fetch(`${origin}/api/console/v1/zones`, {
      method: 'POST',
      headers: { ...headers, cookie },
      body: new Blob([JSON.stringify({ name: 'In chunks' })]).stream(),
      duplex: 'half',
    } as RequestInit)
    expect(chunked.status).toBe(201)
  })

  seam('own')('what was not built says so', async () => {
    await using bare = await createStage({ consoleDirectory: join(directory, 'nothing') })
    const answer = await bare.control.front.request('/console')
    expect([answer.status, await answer.text()]).toEqual([503, 'The web console is not part of this build.'])
    expect(answer.headers.get('x-frame-options')).toBe('DENY')
    expect((await bare.control.front.request('/console/app.js')).status).toBe(404)
    expect((await bare.control.front.request('/v1/nope')).status).toBe(401)
  })
})
