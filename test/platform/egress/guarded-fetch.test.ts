import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  createEgressGuard,
  type EgressGuard,
  type EgressGuardOptions,
} from '../../../src/platform/egress/guarded-fetch.ts'

const guards: EgressGuard[] = []
function guard(options: Partial<EgressGuardOptions> = {}): EgressGuard {
  const made = createEgressGuard({ privateHosts: [], extraCaFile: null, ...options })
  guards.push(made)
  return made
}
afterEach(async () => {
  for (const made of guards.splice(0)) await made[Symbol.asyncDispose]()
})

const answering =
  (...addresses: string[]): NonNullable<EgressGuardOptions['resolve']> =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))

describe('what is refused before anything is dialled', () => {
  test.each([
    ['http://example.com/', 'url_refused'],
    ['ftp://example.com/', 'url_refused'],
    ['file:///etc/passwd', 'url_refused'],
    ['https://user:pw@example.com/', 'url_refused'],
    ['/relative', 'url_refused'],
    ['https://127.0.0.1/', 'address_refused'],
    ['https://2130706433/', 'address_refused'],
    ['https://0x7f.1/', 'address_refused'],
    ['https://[::1]/', 'address_refused'],
    ['https://[::ffff:169.254.169.254]/', 'address_refused'],
    ['https://169.254.169.254/latest/meta-data', 'address_refused'],
    ['https://10.0.0.1/', 'address_refused'],
  ])('%s: %s', async (url, reason) => {
    await expect(guard().fetch(url)).rejects.toMatchObject({ reason })
  })

  test('a host outside the allowed ones', async () => {
    await expect(
      guard().fetch('https://evil.example/', { allowedHosts: ['token.example'] }),
    ).rejects.toMatchObject({ reason: 'host_refused' })
    expect(guard().checkUrl('https://Token.Example/x#f', { allowedHosts: ['token.example'] }).href).toBe(
      'https://token.example/x',
    )
  })

  test.each([
    ['a private address', ['10.0.0.1']],
    ['one bad address among good ones', ['93.184.216.34', '169.254.169.254']],
    ['a wrapped loopback', ['::ffff:127.0.0.1']],
  ])('a name that resolves to %s', async (_name, addresses) => {
    const guarded = guard({ resolve: answering(...addresses) })
    await expect(guarded.checkHost('name.example')).rejects.toMatchObject({ reason: 'address_refused' })
    await expect(guarded.fetch('https://name.example/')).rejects.toMatchObject({ reason: 'address_refused' })
  })

  test('a named host may be private but never loopback or metadata', async () => {
    const privateHosts = ['token.internal']
    await guard({ privateHosts, resolve: answering('10.0.0.1', 'fd00::1') }).checkHost('TOKEN.internal')
    for (const address of ['127.0.0.1', '169.254.169.254', 'fd00:ec2::254']) {
      await expect(
        guard({ privateHosts, resolve: answering(address) }).checkHost('token.internal'),
      ).rejects.toMatchObject({ reason: 'address_refused' })
    }
    await expect(
      guard({ privateHosts, resolve: answering('10.0.0.1') }).checkHost('other.internal'),
    ).rejects.toMatchObject({ reason: 'address_refused' })
  })

  test('a name without an answer', async () => {
    await expect(guard({ resolve: answering() }).fetch('https://name.example/')).rejects.toMatchObject({
      reason: 'unresolvable',
    })
  })
})

describe('over a socket', () => {
  let server: Server
  let port: number
  let asked: string[]
  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.headers.host} ${request.url}`)
      if (request.url === '/redirect') response.writeHead(302, { location: 'http://169.254.169.254/' }).end()
      else if (request.url === '/large') response.end('x'.repeat(70_000))
      else if (request.url === '/slow') return
      else {
        let body = ''
        request.on('data', (chunk) => {
          body += String(chunk)
        })
        request.on('end', () => response.end(`got ${body}`))
      }
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  const open = () => {
    asked = []
    return guard({ resolve: answering('127.0.0.1'), allows: () => true })
  }
  const call = { allowHttp: true, timeoutMs: 2000 } as const

  test('the judged address is dialled under the original name', async () => {
    const response = await open().fetch(`http://name.example:${port}/x?y=1`, {
      ...call,
      method: 'POST',
      body: 'hello',
    })
    expect(response.status).toBe(200)
    expect(response.body.toString()).toBe('got hello')
    expect(asked).toEqual([`POST name.example:${port} /x?y=1`])
  })

  test('a name that turns bad between two connections is not dialled', async () => {
    asked = []
    const answers = ['127.0.0.1', '127.0.0.2']
    const guarded = guard({
      resolve: async () => [{ address: answers.shift() as string, family: 4 }],
      allows: (address) => address === '127.0.0.1',
    })
    await guarded.checkHost('name.example')
    await expect(guarded.fetch(`http://name.example:${port}/`, call)).rejects.toMatchObject({
      reason: 'address_refused',
    })
    expect(asked).toEqual([])
  })

  test.each([
    ['/redirect', 'redirect_refused'],
    ['/large', 'too_large'],
    ['/slow', 'timeout'],
  ])('%s: %s', async (path, reason) => {
    await expect(
      open().fetch(`http://name.example:${port}${path}`, {
        ...call,
        timeoutMs: path === '/slow' ? 200 : 5000,
      }),
    ).rejects.toMatchObject({ reason })
  })

  test('the caller’s own abort is its own error', async () => {
    const leaving = new AbortController()
    const pending = open().fetch(`http://name.example:${port}/slow`, { ...call, signal: leaving.signal })
    leaving.abort(new Error('gone'))
    await expect(pending).rejects.toThrow('gone')
  })

  test('messages name the host at most', async () => {
    const failure = await open()
      .fetch(`http://name.example:1/x?api_key=abc`, call)
      .catch((error: Error) => error)
    expect(failure).toMatchObject({ reason: 'unreachable', message: 'name.example cannot be reached' })
  })
})

describe('extra trust', () => {
  test('an unusable bundle closes every TLS connection', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'caracal-trust-'))
    const file = join(directory, 'ca.pem')
    writeFileSync(file, 'not a certificate')
    for (const extraCaFile of [file, join(directory, 'absent.pem')]) {
      await expect(
        guard({ extraCaFile, resolve: answering('93.184.216.34') }).fetch('https://name.example/'),
      ).rejects.toMatchObject({ reason: 'trust_unavailable' })
    }
    await rm(directory, { recursive: true })
  })
})
