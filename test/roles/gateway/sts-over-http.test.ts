/** The `Sts` port over HTTP: envelope, answers, and what the caller of a split gateway sees (gateway §4 step 15, §9). */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createRawServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stsOverHttp } from '../../../src/roles/gateway/index.ts'
import { canonicalEnvelope, envelopeSignature } from '../../../src/roles/gateway/signed-exchange.ts'
import type { GatewayExchangeRequest } from '../../../src/roles/sts/port.ts'
import {
  closePlatform,
  openPlatform,
  openStage,
  type StandingPlatform,
  startUpstream,
  type Upstream,
} from './stage.ts'
import { createZoneSts } from './zone-sts.ts'

const keyHex = '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'
const key = { current: Buffer.from(keyHex, 'hex'), accepted: [Buffer.from(keyHex, 'hex')] }

const request: GatewayExchangeRequest = {
  requestId: 'req-1',
  zoneId: 'zone-1',
  applicationId: 'app-1',
  mandate: 'aaa.bbb.ccc',
  resource: 'resource://openai',
  method: 'POST',
  path: '/v1/chat',
}

describe('envelope', () => {
  it('48: reproduces the published vectors', () => {
    expect(
      envelopeSignature(Buffer.from('gateway-signing-key-with-entropy'), {
        timestamp: 1_700_000_000,
        nonce: 'req-123',
        method: 'POST',
        path: '/oauth/token',
        body: '{"grant_id":"grant_123","scope":"read write"}',
      }),
    ).toBe('4d299b9ededc03aae1467f1d85502ee7c9399d05c9a46123a31d4a768d2e0925')
    const body =
      'application_id=app-1&gateway_request_id=req-1&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&request_method=POST&request_path=%2Fv1%2Fchat&resource=resource%3A%2F%2Fopenai&subject_token=aaa.bbb.ccc&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&zone_id=zone-1'
    expect(
      envelopeSignature(key.current, {
        timestamp: 1_700_000_000,
        nonce: '11'.repeat(32),
        method: 'POST',
        path: '/oauth/2/token',
        body,
      }),
    ).toBe('3e7ef49f65dc18e45408ed0457655fa1775d2f618a60b161bca7b695f0663338')
  })
})

describe('exchange', () => {
  let server: Upstream
  let platform: StandingPlatform
  let respond: (request: IncomingMessage, response: ServerResponse) => unknown
  let received: { url: string; headers: IncomingMessage['headers']; body: string }[] = []

  beforeAll(async () => {
    platform = await openPlatform()
    server = await startUpstream((incoming, response) => {
      let body = ''
      incoming.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      incoming.on('end', () => {
        received.push({ url: incoming.url ?? '', headers: incoming.headers, body })
        respond(incoming, response)
      })
    })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    await closePlatform(platform)
  })

  const json =
    (status: number, value: unknown, headers: Record<string, string> = {}) =>
    (_request: IncomingMessage, response: ServerResponse): void => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(JSON.stringify(value))
    }

  it('sends exactly the specified form, signed byte for byte', async () => {
    received = []
    respond = json(200, {
      access_token: 'minted',
      token_type: 'Bearer',
      expires_in: 900,
      scope: 'a',
      target_resources: ['resource://openai'],
      upstreams: { 'resource://openai': { url: 'http://u/', auth_mode: 'none' } },
    })
    await using sts = stsOverHttp({ url: `${server.url}/base`, key, timeoutMs: 1000 })
    const result = await sts.exchangeForGateway(request, new AbortController().signal)
    expect(result.ok && { ...result, accessToken: result.accessToken() }).toEqual({
      ok: true,
      accessToken: 'minted',
      expiresIn: 900,
      scope: 'a',
      targetResources: ['resource://openai'],
      upstreams: { 'resource://openai': { url: 'http://u/', auth_mode: 'none' } },
    })
    const [sent] = received
    expect(sent?.url).toBe('/base/oauth/2/token')
    expect(Object.fromEntries(new URLSearchParams(sent?.body))).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      zone_id: 'zone-1',
      application_id: 'app-1',
      subject_token: 'aaa.bbb.ccc',
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      resource: 'resource://openai',
      request_method: 'POST',
      request_path: '/v1/chat',
      gateway_request_id: 'req-1',
    })
    expect(sent?.headers).toMatchObject({
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
      'user-agent': 'caracal-gateway',
      'x-request-id': 'req-1',
    })
    const nonce = String(sent?.headers['x-caracal-gateway-request'])
    expect(nonce).toMatch(/^[0-9a-f]{64}$/)
    const input = {
      timestamp: Number(sent?.headers['x-caracal-gateway-timestamp']),
      nonce,
      method: 'POST',
      path: '/base/oauth/2/token',
      body: sent?.body ?? '',
    }
    expect(Math.abs(input.timestamp - Date.now() / 1000)).toBeLessThan(5)
    expect(canonicalEnvelope(input).split('\n')).toHaveLength(5)
    expect(sent?.headers['x-caracal-gateway-signature']).toBe(envelopeSignature(key.current, input))
  })

  it('is unsigned without a key', async () => {
    received = []
    respond = json(401, { error: 'access_denied', error_description: 'invalid client credentials' })
    await using sts = stsOverHttp({ url: server.url, key: { current: null, accepted: [] }, timeoutMs: 1000 })
    await sts.exchangeForGateway(request, new AbortController().signal)
    expect(Object.keys(received[0]?.headers ?? {}).filter((name) => name.startsWith('x-caracal'))).toEqual([])
  })

  describe('as a caller of the gateway sees it', () => {
    const html =
      (status: number, text: string) =>
      (_request: IncomingMessage, response: ServerResponse): void => {
        response.writeHead(status, { 'content-type': 'text/html' })
        response.end(text)
      }
    const granted = { access_token: 't', token_type: 'Bearer', expires_in: 1, upstreams: {} }
    const cases: [string, typeof respond, number, string, string][] = [
      [
        'JSON refusal',
        json(403, { error: 'access_denied', error_description: 'policy denied', requestId: 'other' }),
        403,
        'access_denied',
        'policy denied',
      ],
      ['plain 503', html(503, 'busy'), 503, 'sts_unavailable', 'Service Unavailable'],
      ['200 HTML', html(200, '<html>'), 502, 'sts_unavailable', 'sts response invalid'],
      ['200 broken JSON', (_q, s) => s.end('{'), 502, 'sts_unavailable', 'sts response invalid'],
      [
        '200 too large',
        json(200, { ...granted, pad: 'x'.repeat(17_000) }),
        502,
        'sts_unavailable',
        'sts response invalid',
      ],
      [
        '200 without token',
        json(200, { ...granted, access_token: '' }),
        502,
        'sts_unavailable',
        'sts response invalid',
      ],
      ['200 without directive', json(200, granted), 403, 'access_denied', 'resource upstream not configured'],
      [
        '200 with a directive of wrong types',
        json(200, {
          ...granted,
          upstreams: { 'resource://demo': { url: 'http://u', auth_mode: 'none', auth_header: 1 } },
        }),
        403,
        'access_denied',
        'resource upstream not configured',
      ],
      ['hang', () => undefined, 504, 'sts_unavailable', 'sts timeout'],
      ['reset', (_q, s) => s.socket?.destroy(), 502, 'sts_unavailable', 'sts unavailable'],
      [
        'redirect, not followed',
        (_q, s) => {
          s.writeHead(307, { location: `${server.url}/elsewhere` })
          s.end()
        },
        307,
        'sts_unavailable',
        'Temporary Redirect',
      ],
    ]

    it.each(cases)('%s', async (_name, answer, status, error, description) => {
      const zone = createZoneSts()
      respond = answer
      received = []
      const sts = stsOverHttp({ url: server.url, key, timeoutMs: 300 })
      const stage = await openStage({
        platform,
        sts: zone,
        settings: { STS_TIMEOUT: 2000 },
        deps: { sts: { ...sts, zoneKeys: zone.zoneKeys } },
      })
      const seen = await stage.call({ headers: { 'x-request-id': 'mine' } })
      expect([seen.status, seen.json()]).toEqual([
        status,
        { error, error_description: description, requestId: 'mine' },
      ])
      expect(received).toHaveLength(1)
      await stage[Symbol.asyncDispose]()
      await sts[Symbol.asyncDispose]()
    })

    it('502 without any address when nothing listens', async () => {
      await using sts = stsOverHttp({ url: 'http://127.0.0.1:9', key, timeoutMs: 300 })
      const failure = await sts
        .exchangeForGateway(request, new AbortController().signal)
        .catch((e: Error) => e)
      expect(failure).toMatchObject({ name: 'StsUnreachable', kind: 'transport' })
      expect(String(failure)).not.toContain('127.0.0.1')
    })
  })

  it('reads keys of one zone, nothing for an unknown one, and reports an outage', async () => {
    const zone = createZoneSts()
    const jwk = zone.keys[0]?.jwk
    await using sts = stsOverHttp({ url: server.url, key, timeoutMs: 300 })
    received = []
    respond = json(200, { keys: [jwk] })
    expect(await sts.zoneKeys('zone-1')).toEqual([jwk])
    expect(received[0]?.url).toBe('/.well-known/jwks.json?zone_id=zone-1')
    respond = json(404, { error: 'zone_not_found' })
    expect(await sts.zoneKeys('zone-2')).toBeNull()
    respond = json(503, {})
    await expect(sts.zoneKeys('zone-1')).rejects.toThrow()
  })

  it('reports health', async () => {
    await using sts = stsOverHttp({ url: server.url, key, timeoutMs: 300 })
    respond = (_request, response) => response.end()
    await sts.ping()
    respond = json(503, {})
    await expect(sts.ping()).rejects.toThrow()
  })

  it('cancels with its caller', async () => {
    await using sts = stsOverHttp({ url: server.url, key, timeoutMs: 5000 })
    respond = () => undefined
    const leaving = new AbortController()
    const asking = sts.exchangeForGateway(request, leaving.signal).catch((error: Error) => error)
    setTimeout(() => leaving.abort(), 50)
    expect(await asking).toMatchObject({ kind: 'cancelled' })
  })

  it('gives up on a server that never finishes its answer', async () => {
    const dripping = createRawServer((socket) => {
      socket.on('error', () => undefined)
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{')
      const timer = setInterval(() => socket.write(' '), 50)
      socket.on('close', () => clearInterval(timer))
    })
    await new Promise<void>((resolve) => dripping.listen(0, '127.0.0.1', resolve))
    await using sts = stsOverHttp({
      url: `http://127.0.0.1:${(dripping.address() as AddressInfo).port}`,
      key,
      timeoutMs: 300,
    })
    const failure = await sts.exchangeForGateway(request, new AbortController().signal).catch((e: Error) => e)
    expect(failure).toMatchObject({ kind: 'timeout' })
    dripping.close()
  })
})
