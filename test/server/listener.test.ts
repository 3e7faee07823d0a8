/** The end of a listener: an answer that was under way when it began says that the connection ends with it. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Listener, openListener } from '../../src/server/listener.ts'
import { eventually } from '../fixtures/eventually.ts'

let listener: Listener
let waiting: (() => void)[]

const arrival = () => new Promise<void>((resolve) => waiting.push(resolve))

/** What roles answer past their app: with headers by name, and as they were received. */
const heads: Readonly<Record<string, (response: ServerResponse) => ServerResponse>> = {
  '/direct': (response) => response.writeHead(200, { 'content-length': 2 }),
  '/relayed': (response) => response.writeHead(200, ['set-cookie', 'a=1', 'set-cookie', 'b=2']),
  '/chunked': (response) => response.writeHead(200, 'Fine', []),
}

beforeEach(async () => {
  waiting = []
  const app = new Hono()
  app.get('/app', async (c) => {
    await arrival()
    return c.text('ok')
  })
  listener = await openListener({
    name: 'test',
    app,
    intercept(request, response) {
      const head = heads[request.url ?? '']
      if (head === undefined) return false
      void arrival().then(() => head(response).end('ok'))
      return true
    },
    limits: { headerBytes: 16_384, headersTimeoutMs: 5000, requestTimeoutMs: 5000, keepAliveTimeoutMs: 5000 },
    host: '127.0.0.1',
    port: 0,
    portVariable: 'PORT',
  })
})
afterEach(() => listener.close(0))

/** Everything that comes for these requests, sent at once, until the other side has ended. */
async function ask(...paths: string[]): Promise<string> {
  const socket = connect(listener.port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`).join(''))
  await once(socket, 'close')
  return text
}

const connectionsOf = (text: string): string[] =>
  [...text.matchAll(/^connection: (.*)\r$/gim)].map(([, value]) => String(value))

describe('an answer under way when draining begins', () => {
  it.each(['/app', ...Object.keys(heads)])('of %s ends its connection', async (path) => {
    const said = ask(path)
    await eventually(() => waiting.length === 1)
    listener.drain()
    for (const go of waiting) go()
    const text = await said
    expect(text).toMatch(/^HTTP\/1\.1 200 /)
    expect(connectionsOf(text)).toEqual(['close'])
  })

  it('of several on one connection, the last ends it', async () => {
    const said = ask('/direct', '/direct')
    await eventually(() => waiting.length === 2)
    listener.drain()
    for (const go of waiting) go()
    const text = await said
    expect(text.match(/HTTP\/1\.1 200 /g)).toHaveLength(2)
    expect(connectionsOf(text)).toEqual(['keep-alive', 'close'])
  })
})
