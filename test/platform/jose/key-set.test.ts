import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { JWK } from 'jose'
import { afterEach, describe, expect, test } from 'vitest'
import { createSigner } from '../../../src/platform/jose/compact.ts'
import { createKeySet, fetchJwks, KeySetUnavailable } from '../../../src/platform/jose/key-set.ts'
import { createMandateVerifier } from '../../../src/platform/jose/mandate-verifier.ts'
import { generateSigningKeyPem, openSigningKey, publicJwk } from '../../../src/platform/jose/zone-key.ts'

const first = openSigningKey(generateSigningKeyPem())
const second = openSigningKey(generateSigningKeyPem())

function keySetOver(published: Map<string, JWK[]>, options: { maxZones?: number } = {}) {
  let now = 0
  const asked: string[] = []
  let failing = false
  const keys = createKeySet({
    ...options,
    clock: () => now,
    source: async (zoneId) => {
      asked.push(zoneId)
      if (failing) throw new KeySetUnavailable('connection refused')
      return published.get(zoneId) ?? null
    },
  })
  return {
    keys,
    asked,
    advance: (ms: number) => {
      now += ms
    },
    fail: (value: boolean) => {
      failing = value
    },
  }
}

describe('createKeySet', () => {
  test('asks once per zone and 5 minutes, also for concurrent callers', async () => {
    const set = keySetOver(new Map([['z', [publicJwk('k1', first)]]]))
    const found = await Promise.all([
      set.keys.find('z', 'k1'),
      set.keys.find('z', 'k1'),
      set.keys.find('z', 'k1'),
    ])
    expect(found.every((key) => key !== null)).toBe(true)
    expect(set.keys.peek('z', 'k1')).toBeDefined()
    set.advance(299_999)
    await set.keys.find('z', 'k1')
    expect(set.asked).toEqual(['z'])
    set.advance(1)
    expect(set.keys.peek('z', 'k1')).toBeUndefined()
    await set.keys.find('z', 'k1')
    expect(set.asked).toEqual(['z', 'z'])
  })

  test('an unknown kid forces one refetch per 30 s', async () => {
    const published = new Map([['z', [publicJwk('k1', first)]]])
    const set = keySetOver(published)
    await set.keys.find('z', 'k1')
    published.set('z', [publicJwk('k2', second), publicJwk('k1', first)])
    expect(await set.keys.find('z', 'k2'), 'what was read for k1 may miss a new key').not.toBeNull()
    published.set('z', [publicJwk('k3', second)])
    expect(await set.keys.find('z', 'k3')).toBeNull()
    expect(set.asked).toHaveLength(2)
    set.advance(30_000)
    expect(await set.keys.find('z', 'k3')).not.toBeNull()
    expect(set.asked).toHaveLength(3)
  })

  test('an empty answer is never kept', async () => {
    const published = new Map<string, JWK[]>()
    const set = keySetOver(published)
    expect(await set.keys.find('z', 'k1')).toBeNull()
    published.set('z', [publicJwk('k1', first)])
    expect(await set.keys.find('z', 'k1')).not.toBeNull()
  })

  test('expired keys are not used when the source fails', async () => {
    const set = keySetOver(new Map([['z', [publicJwk('k1', first)]]]))
    await set.keys.find('z', 'k1')
    set.fail(true)
    set.advance(300_000)
    await expect(set.keys.find('z', 'k1')).rejects.toBeInstanceOf(KeySetUnavailable)
  })

  test('a source that fails in its own way is heard as it is', async () => {
    const away = new Error('the store is away')
    const keys = createKeySet({ source: () => Promise.reject(away) })
    await expect(keys.find('z', 'k1')).rejects.toBe(away)
  })

  test('flush forgets at once, and a fetch that began before it does not come back', async () => {
    let release: (keys: JWK[]) => void = () => {}
    const answers = [
      new Promise<JWK[]>((resolve) => (release = resolve)),
      Promise.resolve([publicJwk('k2', second)]),
    ]
    const keys = createKeySet({ source: () => answers.shift() as Promise<JWK[]> })
    const early = keys.find('z', 'k1')
    keys.flush('z')
    release([publicJwk('k1', first)])
    expect(await early).not.toBeNull()
    expect(keys.peek('z', 'k1')).toBeUndefined()
    expect(await keys.find('z', 'k2')).not.toBeNull()
  })

  test('the least recently used zone leaves', async () => {
    const published = new Map(['a', 'b', 'c'].map((zone) => [zone, [publicJwk('k1', first)]]))
    const set = keySetOver(published, { maxZones: 2 })
    for (const zone of ['a', 'b', 'c']) await set.keys.find(zone, 'k1')
    expect(set.keys.peek('a', 'k1')).toBeUndefined()
    expect(set.keys.peek('c', 'k1')).toBeDefined()
  })
})

describe('createMandateVerifier', () => {
  const published = new Map([
    ['zone-a', [publicJwk('ka', first)]],
    ['zone-b', [publicJwk('kb', second)]],
  ])

  test('a zone vouches for itself only', async () => {
    const verifier = createMandateVerifier({ keys: keySetOver(published).keys })
    expect(await verifier.verify(createSigner('ka', first).sign({ zone_id: 'zone-a' }))).toMatchObject({
      ok: true,
    })
    expect(await verifier.verify(createSigner('ka', first).sign({ zone_id: 'zone-b' }))).toEqual({
      ok: false,
      reason: 'key_unknown',
    })
    expect(await verifier.verify(createSigner('kb', first).sign({ zone_id: 'zone-b' }))).toEqual({
      ok: false,
      reason: 'signature_invalid',
    })
    expect(await verifier.verify(createSigner('ka', first).sign({}))).toEqual({
      ok: false,
      reason: 'zone_missing',
    })
    expect(await verifier.verify('x.y.z')).toEqual({ ok: false, reason: 'malformed' })
  })

  test('a remembered token needs no key, until flushed', async () => {
    const set = keySetOver(published)
    const verifier = createMandateVerifier({ keys: set.keys, remember: 10 })
    const token = createSigner('ka', first).sign({ zone_id: 'zone-a' })
    await verifier.verify(token)
    set.keys.flush()
    set.fail(true)
    expect(await verifier.verify(token)).toMatchObject({ ok: true })
    verifier.flush()
    await expect(verifier.verify(token)).rejects.toBeInstanceOf(KeySetUnavailable)
  })
})

describe('fetchJwks', () => {
  let server: Server | undefined
  afterEach(() => new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve())))

  async function serve(status: number, body: string, headers: Record<string, string> = {}): Promise<string> {
    server = createServer((request, response) => {
      if (request.url !== '/.well-known/jwks.json?zone_id=z%3A1') response.writeHead(500).end()
      else response.writeHead(status, headers).end(body)
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server?.once('listening', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  }

  test('reads the keys of one zone', async () => {
    const base = await serve(200, JSON.stringify({ keys: [publicJwk('k', first), 1] }))
    expect(await fetchJwks(base, 'z:1', 1000)).toHaveLength(1)
  })

  test('404 is an unknown zone', async () => {
    expect(await fetchJwks(await serve(404, ''), 'z:1', 1000)).toBeNull()
  })

  test('a publisher that fails is asked again later', async () => {
    await expect(fetchJwks(await serve(503, '{}'), 'z:1', 1000)).rejects.toMatchObject({
      code: 'service_unavailable',
    })
  })

  test.each([
    ['a redirect', 302, '', { location: 'http://127.0.0.1:1/' }],
    ['an error', 403, '{}', {}],
    ['no document', 200, '[]', {}],
    ['more than 256 KiB', 200, JSON.stringify({ keys: [], filler: 'x'.repeat(256 * 1024) }), {}],
  ])('%s is refused', async (_name, status, body, headers) => {
    await expect(
      fetchJwks(await serve(status, body, headers as Record<string, string>), 'z:1', 1000),
    ).rejects.toBeInstanceOf(KeySetUnavailable)
  })

  test('so is a server that cannot be reached', async () => {
    await expect(fetchJwks('http://127.0.0.1:1', 'z:1', 1000)).rejects.toBeInstanceOf(KeySetUnavailable)
  })
})
