/** Two listeners over one role app, one of them past the app: whoever calls cannot tell which. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CaracalError } from '../../../src/platform/errors.ts'
import type { PlainRequest } from '../../../src/platform/http/direct.ts'
import { oauthErrors } from '../../../src/platform/http/error-style.ts'
import { requestContext } from '../../../src/platform/http/request-context.ts'
import { createRoleApp, type RoleApp } from '../../../src/platform/http/role-app.ts'
import { createLogger } from '../../../src/platform/observe/logger.ts'
import { createRegistry } from '../../../src/platform/observe/metrics.ts'
import { createTracer, type FinishedSpan } from '../../../src/platform/observe/tracer.ts'
import { type Listener, openListener } from '../../../src/server/listener.ts'
import { eventually } from '../../fixtures/eventually.ts'

type Line = Record<string, unknown>

let role: RoleApp
let lines: Line[]
let spans: FinishedSpan[]
/** Requests that came past the app. */
let taken: PlainRequest[]
let direct: Listener
let through: Listener

beforeEach(async () => {
  lines = []
  spans = []
  taken = []
  const { log } = createLogger({
    level: 'info',
    env: 'test',
    version: '0',
    maxFieldBytes: 8192,
    sampleDebug: 1,
    destination: { write: (line) => void lines.push(JSON.parse(line) as Line) },
  })
  role = createRoleApp({
    log: log.child({ service: 'sts' }),
    metrics: createRegistry(),
    tracer: createTracer((span) => void spans.push(span)),
    errorStyle: oauthErrors,
    requestIdRule: 'visible',
    trustProxy: false,
    bodyLimitBytes: 1024,
    operations: {
      mode: 'dev',
      metricsBearer: null,
      health: () => ({ status: 200, body: null }),
      ready: () => ({ status: 200, body: null }),
    },
  })
  const answer = async (text: string, { notes }: PlainRequest['context']) => {
    notes.zone_id = 'zone-1'
    if (text === 'refuse') {
      throw new CaracalError('rate_limited', {
        status: 429,
        message: 'späßchen',
        detail: 'too often',
        headers: { 'retry-after': '7' },
        body: { more: true },
      })
    }
    if (text === 'break') throw new Error('a defect')
    return { text }
  }
  role.app.post('/x', async (c) => c.json(await answer(await c.req.text(), requestContext(c))))
  const intercept = role.direct({
    paths: new Set(['/x', '/never']),
    maxBodyBytes: 1024,
    async answer(request) {
      taken.push(request)
      if (request.target === '/never') {
        await once(request.signal, 'abort')
        return {}
      }
      return answer(Buffer.from(await request.body()).toString(), request.context)
    },
  })
  const common = {
    name: 'test',
    app: role.app,
    limits: {
      headerBytes: 16_384,
      headersTimeoutMs: 5000,
      requestTimeoutMs: 60_000,
      keepAliveTimeoutMs: 5000,
    },
    host: '127.0.0.1',
    port: 0,
    portVariable: 'PORT',
  }
  direct = await openListener({ ...common, intercept })
  through = await openListener(common)
})
afterEach(() => Promise.all([direct.close(0), through.close(0)]))

function open({ port }: Listener) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  return { socket, text: () => text }
}

/** What a connection answers until it ends. */
async function tell(listener: Listener, bytes: string): Promise<string> {
  const { socket, text } = open(listener)
  socket.write(bytes)
  await once(socket, 'end')
  socket.end()
  return text()
}

const post = (body: string, headers: readonly string[] = [], path = '/x', host = 'localhost:8080'): string =>
  [
    `POST ${path} HTTP/1.1`,
    `host: ${host}`,
    'connection: close',
    `content-length: ${Buffer.byteLength(body)}`,
    ...headers,
    '',
    body,
  ].join('\r\n')

/** Status, headers and body, without what differs from one answer to the next. */
function parsed(answer: string) {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  const [status, ...headers] = head.split('\r\n').map((line) => line.toLowerCase())
  return { status, headers: headers.filter((line) => !line.startsWith('date:')).sort(), body }
}

/** The log but what differs from one line to the next. */
const logged = () =>
  lines.map(({ time: _time, duration_ms: _ms, span_id: _span, trace_id: _trace, err, ...rest }) => ({
    ...rest,
    err: err !== undefined,
  }))

describe('an answer past the app is the one through it', () => {
  const id = 'x-request-id: req-1'
  test.each([
    ['a body', [id], 'hällo'],
    ['no body', [id], ''],
    [
      'a caller of a trace',
      [id, 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
      'a',
    ],
    ['a refusal with headers and members of its own', [id], 'refuse'],
    ['a defect', [id], 'break'],
  ])('%s', async (_, headers, body) => {
    const one = parsed(await tell(through, post(body, headers)))
    const oneLog = logged()
    const [oneSpan] = spans.splice(0)
    lines.length = 0
    expect(taken).toEqual([])
    expect(parsed(await tell(direct, post(body, headers)))).toEqual(one)
    expect(taken).toHaveLength(1)
    expect(one.headers).toContain('x-request-id: req-1')
    expect(logged()).toEqual(oneLog)
    expect(lines.at(-1)).toMatchObject({ msg: 'request', zone_id: 'zone-1', path: '/x', method: 'POST' })
    const [span] = spans
    expect([span?.name, span?.failure, span?.parentSpanId, [...(span?.attributes ?? [])]]).toEqual([
      oneSpan?.name,
      oneSpan?.failure,
      oneSpan?.parentSpanId,
      [...(oneSpan?.attributes ?? [])],
    ])
  })

  test('an id that is not well-formed is replaced', async () => {
    const { headers } = parsed(await tell(direct, post('a', ['x-request-id: two words'])))
    expect(headers.find((line) => line.startsWith('x-request-id'))).toMatch(/^x-request-id: [0-9a-f-]{36}$/)
  })

  test('several requests over one connection', async () => {
    const keptOpen = post('first').replace('connection: close\r\n', '')
    const answers = await tell(direct, keptOpen + keptOpen + post('last'))
    expect(answers.match(/\{[^}]*\}/g)).toEqual(['{"text":"first"}', '{"text":"first"}', '{"text":"last"}'])
    expect(taken).toHaveLength(3)
  })

  test('while the role drains the connection is closed', async () => {
    role.drain()
    const keptOpen = post('a').replace('connection: close\r\n', '')
    expect(parsed(await tell(direct, keptOpen)).headers).toContain('connection: close')
  })
})

describe('what is not plain goes through the app', () => {
  test.each([
    ['a query', post('a', [], '/x?y'), 200],
    ['another verb', post('', []).replace('POST', 'PUT'), 404],
    ['another path', post('', [], '/y'), 404],
    ['a body over the limit', post('a'.repeat(1025)), 413],
    [
      'a body of unknown length',
      'POST /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
      200,
    ],
    ['no length at all', 'POST /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n', 200],
    ['no host, as in HTTP/1.0', 'POST /x HTTP/1.0\r\ncontent-length: 0\r\n\r\n', 200],
    ['an odd host', post('a', [], '/x', 'a/b'), 400],
    ['a port out of range', post('a', [], '/x', 'a:99999'), 400],
    ['an address', post('a', [], '/x', '[::1]:8080'), 200],
  ])('%s', async (_, request, status) => {
    const answer = parsed(await tell(direct, request))
    expect(answer.status).toContain(`http/1.1 ${status}`)
    expect(taken).toEqual([])
  })
})

describe('a caller who leaves', () => {
  test('ends what waits for it', async () => {
    const { socket } = open(direct)
    socket.write(post('', [], '/never'))
    const request = await eventually(async () => taken[0] ?? null)
    expect(request.signal.aborted).toBe(false)
    socket.destroy()
    await eventually(async () => request.signal.aborted || null)
    expect(await eventually(async () => lines.find(({ msg }) => msg === 'request') ?? null)).toBeTruthy()
  })

  test('in the middle of its body is not answered for ever', async () => {
    const { socket } = open(direct)
    socket.write(post('abcd').slice(0, -1))
    await eventually(async () => taken[0] ?? null)
    socket.destroy()
    const line = await eventually(async () => lines.find(({ msg }) => msg === 'request') ?? null)
    expect(line.status).toBeGreaterThanOrEqual(400)
  })
})
