/** Answers that are made before any role sees a request still say which request they answer. */
import { connect } from 'node:net'
import { Hono } from 'hono'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Listener, openListener } from '../../src/server/listener.ts'

let listener: Listener

beforeEach(async () => {
  const app = new Hono()
  app.all('*', (c) => c.text('served'))
  listener = await openListener({
    name: 'test',
    app,
    limits: { headerBytes: 16_384, headersTimeoutMs: 500, requestTimeoutMs: 500, keepAliveTimeoutMs: 5000 },
    host: '127.0.0.1',
    port: 0,
    portVariable: 'PORT',
  })
})
afterEach(() => listener.close(0))

function sent(text: string): Promise<{ status: number; id: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(listener.port, '127.0.0.1')
    let seen = ''
    socket.on('data', (chunk) => {
      seen += chunk.toString()
    })
    socket.on('error', reject)
    socket.on('close', () => {
      const [head = '', body = ''] = seen.split('\r\n\r\n')
      const id = /^x-request-id: (.*)$/im.exec(head)?.[1]
      resolve({ status: Number(head.split(' ')[1]), id, body })
    })
    socket.write(text)
  })
}

it.each([
  [
    'headers over the limit',
    `GET / HTTP/1.1\r\nHost: a\r\nX-Big: ${'a'.repeat(17_000)}\r\n\r\n`,
    431,
    'payload_too_large',
  ],
  ['a malformed header', 'GET / HTTP/1.1\r\nHost a\r\n\r\n', 400, 'invalid_request'],
  ['no host', 'GET / HTTP/1.1\r\n\r\n', 400, 'invalid_request'],
  ['a host that is none', 'GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n', 400, 'invalid_request'],
  ['a head that never ends', 'GET / HTTP/1.1\r\nHost: a\r\n', 408, 'request_timeout'],
])('%s', async (_what, text, status, error) => {
  const answer = await sent(text)
  expect(answer.status).toBe(status)
  expect(answer.id).toMatch(/^[0-9a-f-]{36}$/)
  expect(JSON.parse(answer.body)).toMatchObject({ error, requestId: answer.id })
})

it('keeps the id of the caller where it was read', async () => {
  const answer = await sent('GET / HTTP/1.1\r\nX-Request-Id: mine\r\n\r\n')
  expect([answer.status, answer.id]).toEqual([400, 'mine'])
})

it('a new connection while the process leaves', async () => {
  listener.drain()
  const answer = await sent('GET /x HTTP/1.1\r\nHost: a\r\nX-Request-Id: late\r\n\r\n')
  expect([answer.status, answer.id]).toEqual([503, 'late'])
  expect(JSON.parse(answer.body)).toEqual({
    error: 'draining',
    error_description: 'The server is stopping.',
    requestId: 'late',
  })
})

it('serves HTTP/1.0, which need not name a host', async () => {
  const answer = await sent('GET /health HTTP/1.0\r\n\r\n')
  expect([answer.status, answer.body]).toEqual([200, 'served'])
})

it('serves what comes with an expectation it does not know', async () => {
  const expecting = 'GET / HTTP/1.1\r\nHost: a\r\nExpect: foo\r\nConnection: close\r\n\r\n'
  expect((await sent(expecting)).status).toBe(200)
})
