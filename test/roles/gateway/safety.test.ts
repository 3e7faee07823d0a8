/** Steps 16 and 17: which upstreams may be dialled (gateway §12). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAddressGuard } from '../../../src/roles/gateway/proxy/resolve.ts'
import { parseTarget } from '../../../src/roles/gateway/proxy/target.ts'
import { openStage, type Stage, startUpstream, type Upstream } from './stage.ts'

describe('address classes', () => {
  // The table of gateway §12.2; `blocked` and `private` as the guard sees them.
  const guard = (blockPrivate: boolean) =>
    createAddressGuard({ allowlist: [], blockPrivate, ownPorts: () => [] })
  const verdict = (address: string): string => {
    if (guard(false).admits(address, 80) !== true) return 'blocked'
    return guard(true).admits(address, 80) === true ? 'public' : 'private'
  }
  it.each([
    ['169.254.169.254', 'blocked'],
    ['224.0.0.1', 'blocked'],
    ['0.0.0.0', 'blocked'],
    ['0.1.2.3', 'blocked'],
    ['240.0.0.1', 'blocked'],
    ['255.255.255.255', 'blocked'],
    ['100.100.100.200', 'blocked'],
    ['192.0.0.192', 'blocked'],
    ['168.63.129.16', 'blocked'],
    ['::', 'blocked'],
    ['fe80::1', 'blocked'],
    ['febf::1', 'blocked'],
    ['ff02::1', 'blocked'],
    ['2001::1', 'blocked'],
    ['2001:0:53aa:64c::1', 'blocked'],
    ['fd00:ec2::254', 'blocked'],
    ['fd20:ce::254', 'blocked'],
    ['::ffff:169.254.169.254', 'blocked'],
    ['::ffff:a9fe:a9fe', 'blocked'],
    ['64:ff9b::a9fe:a9fe', 'blocked'],
    ['64:ff9b:1::a9fe:a9fe', 'blocked'],
    ['2002:a9fe:a9fe::1', 'blocked'],
    ['::a9fe:a9fe', 'blocked'],
    ['fe80::1%eth0', 'blocked'],
    ['127.0.0.1', 'private'],
    ['::1', 'private'],
    ['10.0.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['fd00::1', 'private'],
    ['::ffff:10.0.0.1', 'private'],
    ['64:ff9b::a00:1', 'private'],
    ['172.32.0.1', 'public'],
    ['93.184.216.34', 'public'],
    ['2606:2800:220:1::1', 'public'],
    ['64:ff9b::5db8:d822', 'public'],
    ['2002:5db8:d822::1', 'public'],
  ])('%s is %s', (address, kind) => {
    expect(verdict(address)).toBe(kind)
  })
})

describe('targets', () => {
  it.each([
    'ftp://h/',
    'http://user:pw@h/',
    'http://user@h/',
    'http:h',
    'http:/h',
    'http:///h',
    'http://',
    'h/x',
    '',
    'http://h/%zz',
    'caracal-llm://router',
  ])('refuses %s', (url) => {
    expect(parseTarget(url)).toBeNull()
  })

  it('judges the normalised host, not the text', () => {
    expect(parseTarget('http://0x7f.1/')?.hostname).toBe('127.0.0.1')
    expect(parseTarget('http://2852039166/')?.hostname).toBe('169.254.169.254')
    expect(parseTarget('http://[::FFFF:169.254.169.254]/')?.hostname).toBe('::ffff:a9fe:a9fe')
    expect(parseTarget('https://API.Example.COM./v1#frag')).toMatchObject({
      hostname: 'api.example.com',
      port: 443,
      path: '/v1',
    })
  })
})

describe('guard', () => {
  const guard = (options: Partial<Parameters<typeof createAddressGuard>[0]> = {}) =>
    createAddressGuard({ allowlist: [], blockPrivate: false, ownPorts: () => [], ...options })
  const answers = (...addresses: string[]) => ({
    resolve: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  })

  it('needs every address to be safe', async () => {
    expect(await guard(answers('93.184.216.34')).admits('h', 80)).toBe(true)
    expect(await guard(answers('93.184.216.34', '169.254.169.254')).admits('h', 80)).toBe(false)
    expect(await guard(answers()).admits('h', 80)).toBe(false)
    const failing = guard({ resolve: () => Promise.reject(new Error('NXDOMAIN')) })
    expect(await failing.admits('h', 80)).toBe(false)
  })

  it('29: allows only listed hosts, exactly', async () => {
    const listed = guard({ allowlist: ['api.example.com'], ...answers('93.184.216.34') })
    expect(await listed.admits('api.example.com', 443)).toBe(true)
    expect(await listed.admits('evil.example.com', 443)).toBe(false)
    expect(await listed.admits('x.api.example.com', 443)).toBe(false)
    expect(await listed.admits('93.184.216.34', 443)).toBe(false)
  })

  it('27: blocks private space on request, except for listed hosts, never metadata', async () => {
    expect(await guard({ blockPrivate: true }).admits('10.0.0.1', 80)).toBe(false)
    expect(
      await guard({ blockPrivate: true, allowlist: ['db'], ...answers('10.0.0.1') }).admits('db', 80),
    ).toBe(true)
    expect(
      await guard({ blockPrivate: true, allowlist: ['db'], ...answers('169.254.169.254') }).admits('db', 80),
    ).toBe(false)
  })

  it('refuses this process’s own listeners on loopback', async () => {
    const own = guard({ ownPorts: () => [8080] })
    expect(await own.admits('127.0.0.1', 8080)).toBe(false)
    expect(await own.admits('::1', 8080)).toBe(false)
    expect(await own.admits('127.0.0.1', 9999)).toBe(true)
    expect(await guard({ ownPorts: () => [8080], allowlist: ['127.0.0.1'] }).admits('127.0.0.1', 8080)).toBe(
      true,
    )
  })
})

describe('over the wire', () => {
  let stage: Stage
  let upstream: Upstream
  /** What the resolver answers, in turn; the last stays. */
  let turns: string[][]

  beforeAll(async () => {
    upstream = await startUpstream()
    stage = await openStage({
      deps: {
        resolve: async () => {
          const addresses = (turns.length > 1 ? turns.shift() : turns[0]) ?? []
          return addresses.map((address) => ({ address, family: 4 }))
        },
      },
    })
  })
  afterAll(async () => {
    await stage[Symbol.asyncDispose]()
    await upstream[Symbol.asyncDispose]()
  })

  it.each([
    'http://169.254.169.254/',
    'http://[fe80::1]/',
    'http://224.0.0.1/',
    'http://0.0.0.0/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://[::ffff:169.254.169.254]/',
    'http://[fd00:ec2::254]/',
    'http://168.63.129.16/',
    'http://u:p@127.0.0.1/',
    'ftp://127.0.0.1/',
  ])('502 not addressable: %s', async (url) => {
    stage.route(url)
    const requestId = `guard-${Buffer.from(url).toString('hex')}`.slice(0, 100)
    const answer = await stage.call({ headers: { 'x-request-id': requestId } })
    expect([answer.status, answer.json().error, answer.json().error_description]).toEqual([
      502,
      'internal_error',
      'upstream not addressable',
    ])
    const [event] = await stage.evidence(requestId, 'gateway_resource_request')
    expect(event).toMatchObject({
      evaluation_status: 'upstream_rejected',
      metadata_json: { error_kind: 'upstream_not_addressable', gateway_status: 502 },
    })
  })

  it('502 when a name turns to metadata between check and dial', async () => {
    turns = [['93.184.216.34'], ['169.254.169.254']]
    stage.route(`http://rebinding.test:${upstream.port}/`)
    const answer = await stage.call()
    expect([answer.status, answer.json().error_description]).toEqual([502, 'upstream unreachable'])
    expect(upstream.connections()).toBe(0)
  })

  it('dials a checked address under the original name', async () => {
    turns = [['127.0.0.1']]
    stage.route(`http://pinned.test:${upstream.port}/`)
    expect((await stage.call()).status).toBe(200)
    expect(upstream.seen.at(-1)?.headers.host).toBe(`pinned.test:${upstream.port}`)
  })

  it('502 when the credential is not meant for the host', async () => {
    const seen = upstream.seen.length
    stage.route(upstream.url, {
      auth_mode: 'provider_oauth',
      provider_token: 't',
      allowed_token_hosts: ['api.x'],
    })
    const answer = await stage.call({ headers: { 'x-request-id': 'wrong-host' } })
    expect([answer.status, answer.json().error_description]).toEqual([
      502,
      'provider credential not allowed for upstream host',
    ])
    const [event] = await stage.evidence('wrong-host', 'gateway_resource_request')
    expect(event?.metadata_json?.error_kind).toBe('provider_host_not_allowed')
    expect(upstream.seen).toHaveLength(seen)
    stage.route(upstream.url, {
      auth_mode: 'provider_oauth',
      provider_token: 't',
      allowed_token_hosts: [' 127.0.0.1 '],
    })
    expect((await stage.call()).status).toBe(200)
  })
})
