/** Streams over real sockets: flushing, revocation, disconnects, broken upstreams. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../fixtures/eventually.ts'
import { openStage, readAnswer, type Stage, startUpstream, type Upstream } from './stage.ts'

let stage: Stage
let upstream: Upstream
/** What the upstream is told to do with the next request. */
let script: (request: IncomingMessage, response: ServerResponse) => void

beforeAll(async () => {
  stage = await openStage({ settings: { STREAM_IDLE_TIMEOUT: 700 } })
  upstream = await startUpstream((request, response) => script(request, response))
  stage.route(upstream.url)
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

/** An event stream that sends one event and then stays silent; tells when its connection closed. */
function idleStream(): { closed: Promise<number> } {
  let tell: (at: number) => void = () => undefined
  const closed = new Promise<number>((resolve) => {
    tell = resolve
  })
  script = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: first\n\n')
    response.on('close', () => tell(performance.now()))
  }
  return { closed }
}

const firstChunk = (response: IncomingMessage): Promise<Buffer> =>
  new Promise((resolve) => response.once('data', resolve))

describe('flushing', () => {
  it('passes each event before the next one is made, and announces the trailer', async () => {
    let send: () => void = () => undefined
    let sent = 0
    script = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      send = () => {
        sent += 1
        if (sent <= 3) response.write(`data: ${sent}\n\n`)
        else response.end()
      }
      send()
    }
    const response = await stage.open()
    expect(response.headers['transfer-encoding']).toBe('chunked')
    expect(response.headers.trailer).toBe('X-Caracal-Revoked')
    const events: string[] = []
    response.on('data', (chunk: Buffer) => {
      events.push(chunk.toString())
      // Only an event that was seen lets the upstream go on: a buffer anywhere would stop it for good.
      send()
    })
    await new Promise((resolve) => response.on('end', resolve))
    expect(events).toEqual([1, 2, 3].map((one) => `data: ${one}\n\n`))
    expect(response.trailers).toEqual({})
  })

  it('sends the head before the first byte of the body', async () => {
    let finish: () => void = () => undefined
    script = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      finish = () => response.end('data: x\n\n')
    }
    const response = await stage.open()
    finish()
    expect((await readAnswer(response)).body).toBe('data: x\n\n')
  })

  it('sends the head before a body whose length it knows, and cuts it like any answer that has begun', async () => {
    const id = randomUUID()
    script = (_request, response) => {
      response.writeHead(200, { 'content-length': '2' })
      response.flushHeaders()
    }
    const response = await stage.open({ mandate: stage.sts.mint({ agent_session_id: id }) })
    expect(response.headers['content-length']).toBe('2')
    await stage.publish('caracal.agents.lifecycle', {
      event: 'suspend',
      zone_id: 'zone-1',
      agent_session_id: id,
    })
    expect(await readAnswer(response)).toMatchObject({ body: '', complete: false })
  })

  it('relays trailers of a chunked upstream, filtered', async () => {
    script = (_request, response) => {
      response.writeHead(200, { trailer: 'X-Checksum, X-Caracal-Revoked, Set-Cookie' })
      response.write('body')
      response.addTrailers({ 'X-Checksum': 'c', 'X-Caracal-Revoked': 'true', 'Set-Cookie': 'a=1' })
      response.end()
    }
    const answer = await stage.call()
    expect([answer.body, answer.trailers]).toEqual(['body', { 'x-checksum': 'c' }])
  })

  it('passes a request body on while it arrives, and the answer back meanwhile', async () => {
    script = (request, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' })
      request.pipe(response)
    }
    const { request } = await import('node:http')
    const echoed: string[] = []
    await new Promise<void>((resolve, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port: stage.port,
          method: 'POST',
          path: '/',
          headers: {
            authorization: `Bearer ${stage.sts.mint()}`,
            'x-caracal-resource': 'resource://demo',
            'transfer-encoding': 'chunked',
          },
        },
        (response) => {
          response.on('data', (chunk: Buffer) => {
            echoed.push(chunk.toString())
            if (echoed.length === 1) call.write('two')
            else call.end()
          })
          response.on('end', resolve)
        },
      )
      call.on('error', reject)
      call.write('one')
    })
    expect(echoed).toEqual(['one', 'two'])
  })
})

describe('revocation', () => {
  const cases = [
    ['session', 'agent_session_id', 'agent_session_id'],
    ['record', 'sid', 'session_id'],
    ['root record', 'root_sid', 'session_id'],
    ['delegation', 'delegation_edge_id', 'delegation_edge_id'],
    ['delegation by its alias', 'delegation_edge_id', 'edge_id'],
  ] as const

  it.each(cases)(
    'of a %s cuts an idle stream at once and closes the upstream',
    async (_name, claim, field) => {
      const id = randomUUID()
      const { closed } = idleStream()
      const requestId = `cut-${id}`
      const response = await stage.open({
        mandate: stage.sts.mint({ [claim]: id }),
        headers: { 'x-request-id': requestId },
      })
      await firstChunk(response)
      const revokedAt = performance.now()
      const ended = new Promise<number>((resolve) => response.once('end', () => resolve(performance.now())))
      await stage.publish('caracal.sessions.revoke', { zone_id: 'zone-1', [field]: id, reason: 'test' })
      expect((await ended) - revokedAt).toBeLessThan(5000)
      expect(response.trailers).toEqual({ 'x-caracal-revoked': 'true' })
      expect(response.complete).toBe(true)
      expect((await closed) - revokedAt).toBeLessThan(5000)
      const [event] = await stage.evidence(requestId, 'gateway_resource_request')
      expect(event?.metadata_json).toMatchObject({ revocation_interrupted: true, gateway_status: 200 })
      const again = await stage.call({ mandate: stage.sts.mint({ [claim]: id }) })
      expect([again.status, again.json().error_description]).toEqual([401, 'session revoked'])
    },
  )

  it('within 50 ms when the process itself revokes', async () => {
    const delays: number[] = []
    // Rounds may meet a busy machine; what is slow by itself is slow in every one of them.
    for (let round = 0; round < 20 && Math.min(...delays) >= 50; round += 1) {
      const id = randomUUID()
      const { closed } = idleStream()
      const response = await stage.open({ mandate: stage.sts.mint({ agent_session_id: id }) })
      await firstChunk(response)
      const ended = new Promise<number>((resolve) => response.once('end', () => resolve(performance.now())))
      const revokedAt = performance.now()
      stage.gateway.revocations.mark({ sessions: [id] })
      delays.push(Math.max(await ended, await closed) - revokedAt)
    }
    expect(Math.min(...delays)).toBeLessThan(50)
  })

  it('44: breaks the connection when the length was promised', async () => {
    const id = randomUUID()
    script = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('part')
    }
    const response = await stage.open({ mandate: stage.sts.mint({ sid: id }) })
    const reading = readAnswer(response)
    await firstChunk(response)
    stage.gateway.revocations.mark({ records: [id] })
    const answer = await reading
    expect([answer.body, answer.complete]).toEqual(['part', false])
    expect((await stage.call({ mandate: null })).status).toBe(401)
  })

  it('before the upstream answered: 401, upstream aborted', async () => {
    const id = randomUUID()
    let arrived = false
    let closed = false
    script = (request) => {
      arrived = true
      request.on('close', () => {
        closed = true
      })
    }
    const calling = stage.call({ mandate: stage.sts.mint({ sid: id }) })
    await eventually(() => arrived)
    stage.gateway.revocations.mark({ records: [id] })
    const answer = await calling
    expect([answer.status, answer.json().error_description]).toEqual([401, 'session revoked'])
    await eventually(() => closed)
  })

  it('during the exchange: 401, nothing dialled', async () => {
    const id = randomUUID()
    let dialled = false
    script = () => {
      dialled = true
    }
    stage.sts.answer = async (request, signal) => {
      stage.sts.answer = null
      stage.gateway.revocations.mark({ delegations: [id] })
      return stage.sts.exchangeForGateway(request, signal)
    }
    const answer = await stage.call({ mandate: stage.sts.mint({ delegation_edge_id: id }) })
    expect([answer.status, answer.json().error_description]).toEqual([401, 'session revoked'])
    expect(dialled).toBe(false)
  })

  it('suspension cuts what runs and refuses nothing by itself', async () => {
    const id = randomUUID()
    idleStream()
    const response = await stage.open({ mandate: stage.sts.mint({ agent_session_id: id }) })
    await firstChunk(response)
    const ended = new Promise((resolve) => response.once('end', resolve))
    await stage.publish('caracal.agents.lifecycle', {
      event: 'suspend',
      zone_id: 'zone-1',
      agent_session_id: id,
    })
    await ended
    expect(response.trailers).toEqual({ 'x-caracal-revoked': 'true' })
    script = (_request, answer) => answer.end('ok')
    expect((await stage.call({ mandate: stage.sts.mint({ agent_session_id: id }) })).status).toBe(200)
  })

  it('leaves nobody watching once everything ended', async () => {
    await eventually(async () => (await stage.metric('caracal_gateway_requests_watched')) === 0)
  })
})

describe('broken streams', () => {
  it('aborts the upstream when the caller leaves, before and during the answer', async () => {
    for (const begin of [false, true]) {
      let arrived = false
      let closed = false
      script = (_request, response) => {
        arrived = true
        response.on('close', () => {
          closed = true
        })
        if (begin) response.write('begun')
      }
      const leaving = new AbortController()
      const calling = stage.open({ signal: leaving.signal }).then(readAnswer)
      calling.catch(() => undefined)
      await eventually(() => arrived)
      if (begin) await new Promise((resolve) => setTimeout(resolve, 50))
      leaving.abort()
      await eventually(() => closed)
    }
  })

  it('cuts the answer when the upstream dies in the middle', async () => {
    for (const headers of [{ 'content-length': '100' }, {}]) {
      const requestId = `dies-${randomUUID()}`
      script = (_request, response) => {
        response.writeHead(200, headers)
        response.write('part')
        setTimeout(() => response.socket?.resetAndDestroy(), 50)
      }
      const answer = await stage.call({ headers: { 'x-request-id': requestId } })
      expect([answer.status, answer.body, answer.complete]).toEqual([200, 'part', false])
      const [event] = await stage.evidence(requestId, 'gateway_resource_request')
      expect(event).toMatchObject({
        evaluation_status: 'upstream_error',
        metadata_json: { error_kind: 'response_copy_failed', gateway_status: 200, upstream_status: 200 },
      })
    }
  })

  it('cuts a stream that stays silent for too long', async () => {
    idleStream()
    const startedAt = performance.now()
    const answer = await stage.call()
    expect(answer.complete).toBe(false)
    expect(performance.now() - startedAt).toBeGreaterThan(200)
    expect(performance.now() - startedAt).toBeLessThan(15_000)
  })

  it('cuts a stream whose caller does not read', async () => {
    let closed = false
    script = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.on('close', () => {
        closed = true
      })
      const chunk = Buffer.alloc(256 * 1024)
      const pump = (): void => {
        while (response.write(chunk));
        response.once('drain', pump)
      }
      pump()
    }
    const response = await stage.open()
    response.pause()
    await eventually(() => closed)
    response.destroy()
  })

  it('answers when the upstream refuses while a body is on its way, reads the rest away and goes on', async () => {
    stage.route('http://127.0.0.1:9')
    const { connect } = await import('node:net')
    const head = (method: string, extra: string): string =>
      `${method} / HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer ${stage.sts.mint()}\r\nX-Caracal-Resource: resource://demo\r\n${extra}\r\n`
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000), Buffer.from('\r\n')])
    const socket = connect(stage.port, '127.0.0.1')
    let seen = ''
    socket.on('data', (data) => {
      seen += data.toString()
    })
    const answers = (): number => seen.split('HTTP/1.1 ').length - 1
    socket.write(head('POST', 'Transfer-Encoding: chunked\r\n'))
    socket.write(chunk)
    await eventually(() => answers() === 1)
    expect(seen).toContain('upstream unreachable')
    // Far more than any buffer holds.
    for (let index = 0; index < 128; index += 1) {
      if (!socket.write(chunk)) await new Promise((resolve) => socket.once('drain', resolve))
    }
    socket.write('0\r\n\r\n')
    stage.route(upstream.url)
    script = (_request, response) => response.end('next')
    socket.write(head('GET', ''))
    await eventually(() => answers() === 2 && seen.includes('next'))
    socket.destroy()
  })

  it('is not disturbed by a caller that leaves in the middle of a body nobody reads', async () => {
    stage.route('http://127.0.0.1:9')
    const { request } = await import('node:http')
    await new Promise<void>((resolve) => {
      const call = request(
        {
          port: stage.port,
          method: 'POST',
          headers: {
            authorization: `Bearer ${stage.sts.mint()}`,
            'x-caracal-resource': 'resource://demo',
            'transfer-encoding': 'chunked',
          },
        },
        (response) => {
          expect(response.statusCode).toBe(502)
          call.destroy()
          resolve()
        },
      )
      call.on('error', () => undefined)
      call.write(Buffer.alloc(256 * 1024))
    })
    stage.route(upstream.url)
    script = (_request, response) => response.end('ok')
    expect((await stage.call()).status).toBe(200)
  })

  it('speaks to an HTTP/1.0 caller without chunks', async () => {
    script = (_request, response) => {
      response.write('a')
      response.end('b')
    }
    const { connect } = await import('node:net')
    const text = await new Promise<string>((resolve) => {
      const socket = connect(stage.port, '127.0.0.1')
      let seen = ''
      socket.on('data', (chunk) => {
        seen += chunk.toString()
      })
      socket.on('close', () => resolve(seen))
      socket.write(
        `GET /x HTTP/1.0\r\nAuthorization: Bearer ${stage.sts.mint()}\r\nX-Caracal-Resource: resource://demo\r\n\r\n`,
      )
    })
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(text.toLowerCase()).not.toContain('chunked')
    expect(text.endsWith('\r\n\r\nab')).toBe(true)
  })

  it('survives an upstream that speaks over its connection after the answer', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', () =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n'),
      )
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    stage.route(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    for (let index = 0; index < 3; index += 1) {
      const answer = await stage.call()
      expect([answer.status, answer.body]).toEqual([200, 'ok'])
    }
    stage.route(upstream.url)
    server.close()
  })
})
