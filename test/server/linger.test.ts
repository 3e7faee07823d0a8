/** A caller that sends its whole body before it reads gets the answer it was given meanwhile. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { Hono } from 'hono'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { CaracalError } from '../../src/platform/errors.ts'
import { readBody } from '../../src/platform/http/body.ts'
import { type Listener, openListener } from '../../src/server/listener.ts'
import { openBalancer } from '../load/balancer.ts'

const megabyte = Buffer.alloc(1 << 20, 'a')

let listener: Listener
let served: string[]

beforeEach(async () => {
  served = []
  const app = new Hono()
  app.post('/counted', async (c) => c.text(`read ${(await readBody(c, 65_536)).length}`))
  app.onError((error, c) => c.text(error instanceof CaracalError ? 'too large' : 'broken', 413))
  app.all('*', (c) => {
    served.push(c.req.path)
    return c.text('too large', 413, c.req.path === '/closing' ? { connection: 'close' } : {})
  })
  listener = await openListener({
    name: 'test',
    app,
    intercept(request, response) {
      if (request.url !== '/raw') return false
      response.writeHead(413, { 'content-length': 9 }).end('too large')
      return true
    },
    limits: {
      headerBytes: 16_384,
      headersTimeoutMs: 5000,
      requestTimeoutMs: 60_000,
      keepAliveTimeoutMs: 5000,
    },
    host: '127.0.0.1',
    port: 0,
    portVariable: 'PORT',
  })
})
afterEach(() => listener.close(0))

/** A connection that reads nothing until it is asked for what it was sent. */
async function open(port = listener.port) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  let broken: Error | undefined
  socket.on('error', (error) => {
    broken = error
  })
  await once(socket, 'connect')
  return {
    write: (bytes: string | Buffer) => void socket.write(bytes),
    async send(megabytes: number) {
      for (let sent = 0; sent < megabytes; sent += 1) {
        await new Promise<void>((resolve, reject) => {
          socket.write(megabyte, (error) => (error ? reject(error) : resolve()))
        })
      }
    },
    /** Until the other side says that it is all. */
    async read() {
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      await Promise.race([once(socket, 'end'), closed])
      if (broken !== undefined) throw broken
      return text
    },
    /** Goes on sending until the connection is broken. */
    async drip() {
      const timer = setInterval(() => socket.write('a'), 20)
      await closed
      clearInterval(timer)
    },
    async end() {
      socket.end()
      await closed
    },
  }
}

const head = (path: string, connection: string, megabytes: number): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: ${connection}\r\ncontent-length: ${megabytes << 20}\r\n\r\n`

const refused = /^HTTP\/1\.1 413 [\s\S]*too large$/

it.each([
  ['an app', '/app', 'close'],
  ['an app that ends the connection', '/closing', 'keep-alive'],
  ['an interceptor', '/raw', 'close'],
])(
  'the answer of %s outlives the rest of the body, and the connection ends with it',
  async (_who, path, connection) => {
    const caller = await open()
    caller.write(head(path, connection, 8))
    await caller.send(8)
    expect(await caller.read()).toMatch(refused)
    await caller.end()
  },
)

it('that of who counts a body of unknown length while it reads does so too', async () => {
  const caller = await open()
  caller.write('POST /counted HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n')
  for (let sent = 0; sent < 8; sent += 1) {
    caller.write('100000\r\n')
    await caller.send(1)
    caller.write('\r\n')
  }
  caller.write('0\r\n\r\n')
  expect(await caller.read()).toMatch(refused)
  await caller.end()
})

it('it does so behind a balancer', async () => {
  await using balancer = await openBalancer([listener.port])
  const caller = await open(Number(new URL(balancer.url).port))
  caller.write(head('/app', 'close', 8))
  await caller.send(8)
  expect(await caller.read()).toMatch(refused)
  await caller.end()
})

it('who keeps sending is told at once that it was all, and cut off in the end', async () => {
  const caller = await open()
  caller.write(head('/app', 'close', 1000))
  expect(await caller.read()).toMatch(refused)
  await caller.drip()
})

it('what follows an answer that ends the connection is not served', async () => {
  const caller = await open()
  caller.write(head('/closing', 'keep-alive', 1))
  expect(await caller.read()).toMatch(refused)
  caller.write(Buffer.concat([megabyte, Buffer.from('GET /next HTTP/1.1\r\nhost: x\r\n\r\n')]))
  await caller.drip()
  expect(served).toEqual(['/closing'])
})

it('a connection that is kept is left to the next request', async () => {
  const caller = await open()
  caller.write(head('/app', 'keep-alive', 1))
  await caller.send(1)
  caller.write('GET /next HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  expect((await caller.read()).match(/HTTP\/1\.1 413/g)).toHaveLength(2)
  expect(served).toEqual(['/app', '/next'])
  await caller.end()
})
