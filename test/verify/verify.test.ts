/** sdk-cli-console §16, checks 32–35 and 39: verification without a server of ours. */
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  authErrorBody,
  createJwksCache,
  createMandateVerifier,
  InMemoryRevocationStore,
  type Requirements,
  unauthorizedResponse,
} from '../../src/verify/index.ts'
import { signStreamEntry, verifyStreamEntry } from '../../src/verify/redis.ts'
import { type Issuer, openIssuer } from './tokens.ts'

let issuer: Issuer
beforeAll(async () => {
  issuer = await openIssuer()
})
afterAll(async () => issuer?.[Symbol.asyncDispose]())

const verifierFor = (revocations = new InMemoryRevocationStore()) =>
  createMandateVerifier({ issuer: issuer.url, audience: 'resource://x', zoneId: issuer.zoneId, revocations })

describe('32: what a mandate must be', () => {
  const hs256 = () =>
    new SignJWT({ use: 'resource' })
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuedAt()
      .sign(new TextEncoder().encode('x'.repeat(32)))
  const cases: [string, () => Promise<string>, Requirements, string, number][] = [
    ['a wrong audience', () => issuer.token({ aud: ['resource://y'] }), {}, 'invalid_token', 401],
    ['use session', () => issuer.token({ use: 'session' }), {}, 'invalid_token', 401],
    ['use gateway', () => issuer.token({ use: 'gateway' }), {}, 'invalid_token', 401],
    ['no jti', () => issuer.token({}, { omit: 'jti' }), {}, 'invalid_token', 401],
    ['HS256', hs256, {}, 'invalid_token', 401],
    ['expired by 30 s', () => issuer.token({}, { expiresIn: -30 }), {}, 'invalid_token', 401],
    ['another zone', () => issuer.token({ zone_id: 'zone-2' }), {}, 'invalid_zone', 401],
    [
      'a missing scope',
      () => issuer.token(),
      { requiredScopes: ['x:read', 'x:write'] },
      'insufficient_scope',
      403,
    ],
    [
      'no session',
      () => issuer.token({}, { omit: 'agent_session_id' }),
      { requireSession: true },
      'session_required',
      403,
    ],
    [
      'no delegation',
      () => issuer.token({}, { omit: 'delegation_edge_id' }),
      { requireDelegation: true },
      'delegation_required',
      403,
    ],
    ['hop 11', () => issuer.token({ hop_count: 11 }), {}, 'hop_count_exceeded', 403],
    [
      'a chain without the application',
      () => issuer.token(),
      { requireChainContains: ['app-9'] },
      'chain_mismatch',
      403,
    ],
    ['another target', () => issuer.token(), { requiredTargets: ['resource://y'] }, 'invalid_token', 401],
    ['nothing', async () => '', {}, 'missing_token', 401],
    ['nonsense', async () => 'a.b.c', {}, 'invalid_token', 401],
  ]
  it.each(cases)('%s', async (_name, make, requirements, code, status) => {
    const result = await verifierFor().authenticate(await make(), requirements)
    expect(result).toMatchObject({ ok: false, error: { code } })
    if (result.ok) return
    const response = unauthorizedResponse(result.error)
    expect(response.status).toBe(status)
    expect(response.headers.get('www-authenticate')).toBe(status === 401 ? `Bearer error="${code}"` : null)
    if (code === 'insufficient_scope') expect(result.error.description).toBe('Missing scope: x:write')
  })

  it('a good one, under public names', async () => {
    const result = await verifierFor().authorization(`Bearer ${await issuer.token()}`, {
      requiredScopes: ['x:read'],
      requiredTargets: ['resource://x'],
      requireSession: true,
      requireDelegation: true,
      requireChainContains: ['app-0'],
    })
    expect(result).toMatchObject({
      ok: true,
      principal: {
        sub: 'app-1',
        zoneId: 'zone-1',
        sessionId: 'session-1',
        delegationId: 'edge-1',
        authorityRecordId: 'sid-1',
        rootAuthorityRecordId: 'root-1',
        graphEpoch: 3,
        hopCount: 1,
        delegationChain: [{ applicationId: 'app-0', sessionId: 'session-0' }, { applicationId: 'app-1' }],
      },
    })
  })

  it('an override cannot change whom the verifier trusts', async () => {
    const smuggled = { zoneId: 'zone-2', audience: 'resource://y' } as Requirements
    const token = await issuer.token({ zone_id: 'zone-2', aud: ['resource://y'] })
    expect(await verifierFor().authenticate(token, smuggled)).toMatchObject({ ok: false })
    expect(await verifierFor().require(smuggled).authenticate(token)).toMatchObject({ ok: false })
  })
})

describe('33: revocation', () => {
  it.each(['sid-1', 'root-1', 'session-1', 'edge-1'])('anchor %s', async (anchor) => {
    const store = new InMemoryRevocationStore()
    store.markRevoked(anchor)
    expect(await verifierFor(store).authenticate(await issuer.token())).toMatchObject({
      error: { code: 'session_revoked' },
    })
  })

  it('an older graph epoch is stale; a mandate without one is not', async () => {
    const store = new InMemoryRevocationStore()
    store.markDelegationEpoch('zone-1', 4)
    store.markDelegationEpoch('zone-1', 2)
    const verifier = verifierFor(store)
    expect(await verifier.authenticate(await issuer.token())).toMatchObject({
      error: { code: 'delegation_stale' },
    })
    const without = await issuer.token({}, { omit: 'delegation_graph_epoch' })
    expect(await verifier.authenticate(without)).toMatchObject({ ok: true })
  })

  it('a store that fails counts as a revocation, and none at all refuses', async () => {
    const broken = { isRevoked: () => Promise.reject(new Error('away')), markRevoked: () => undefined }
    const options = { issuer: issuer.url, audience: 'resource://x', zoneId: 'zone-1' }
    const token = await issuer.token()
    expect(
      await createMandateVerifier({ ...options, revocations: broken }).authenticate(token),
    ).toMatchObject({
      error: { code: 'session_revoked', cause: new Error('away') },
    })
    const none = createMandateVerifier({ ...options, revocations: undefined as never })
    expect(await none.authenticate(token)).toMatchObject({ error: { code: 'invalid_token' } })
  })

  it('the store in memory forgets nothing to make room', () => {
    const store = new InMemoryRevocationStore({ maxEntries: 2 })
    store.markRevoked('a')
    store.markRevoked('b')
    expect(() => store.markRevoked('c')).toThrow('full')
    expect(store.isRevoked('a')).toBe(true)
  })
})

describe('34, 35: keys', () => {
  it('one request for many verifications; an unknown key is looked for once per cooldown', async () => {
    const own = await openIssuer('zone-k')
    let now = Date.now()
    const jwksCache = createJwksCache({ now: () => now })
    const verifier = createMandateVerifier({
      issuer: own.url,
      audience: 'resource://x',
      zoneId: own.zoneId,
      revocations: new InMemoryRevocationStore(),
      jwksCache,
    })
    const token = await own.token()
    const results = await Promise.all(Array.from({ length: 50 }, () => verifier.authenticate(token)))
    expect(results.every(({ ok }) => ok)).toBe(true)
    expect(own.asked).toEqual(['/.well-known/jwks.json?zone_id=zone-k'])
    await own.rotate()
    const rotated = await own.token()
    expect(await verifier.authenticate(rotated)).toMatchObject({ ok: false })
    expect(own.asked).toHaveLength(1)
    now += 31_000
    expect(await verifier.authenticate(rotated)).toMatchObject({ ok: true })
    expect(own.asked).toHaveLength(2)
    // Stale keys serve while they are renewed, and no longer than ten minutes.
    own.fail = true
    now += 6 * 60_000
    expect(await verifier.authenticate(rotated)).toMatchObject({ ok: true })
    now += 5 * 60_000
    expect(await verifier.authenticate(rotated)).toMatchObject({ ok: false })
    await own[Symbol.asyncDispose]()
  })

  it('a key document over 256 KiB verifies nothing', async () => {
    const own = await openIssuer()
    own.padding = 300 * 1024
    const verifier = createMandateVerifier({
      issuer: own.url,
      audience: 'resource://x',
      zoneId: own.zoneId,
      revocations: new InMemoryRevocationStore(),
    })
    expect(await verifier.authenticate(await own.token())).toMatchObject({ error: { code: 'invalid_token' } })
    await own[Symbol.asyncDispose]()
  })

  it('a verifier that cannot check says why to its service, and to nobody else', async () => {
    const token = await issuer.token()
    const options = { audience: 'resource://x', zoneId: 'zone-1', revocations: new InMemoryRevocationStore() }
    const causeOf = async (issuerUrl: string) => {
      const result = await createMandateVerifier({ ...options, issuer: issuerUrl }).authenticate(token)
      if (result.ok) throw new Error('verified')
      expect(authErrorBody(result.error)).toEqual({
        error: 'invalid_token',
        error_description: 'Token validation failed',
        error_hint: expect.any(String),
      })
      return (result.error.cause as Error).cause
    }
    expect(await causeOf('http://sts.example')).toMatchObject({ message: expect.stringContaining('https') })
    expect(await causeOf(undefined as never)).toMatchObject({ message: 'the issuer is not a URL' })
  })

  it('an http issuer beyond loopback is not asked', async () => {
    const asked: string[] = []
    const cache = createJwksCache({
      allowInsecure: false,
      fetchImpl: async (input) => {
        asked.push(String(input))
        return Response.json({ keys: [] })
      },
    })
    await expect(cache.keys('http://sts.example', 'zone-1')).rejects.toThrow('https')
    expect(asked).toEqual([])
  })
})

it('39: stream signatures', () => {
  const key = '0123456789abcdef'.repeat(4)
  const stream = 'audit:events'
  expect(signStreamEntry(key, stream, { action: 'transfer', amount: '100' })).toBe(
    'c06ccc579e026c31a97a04f203981b236a3c88041712e9b46242e8762da23d75',
  )
  expect(signStreamEntry(key, stream, { active: 'true', count: '0', name: '' })).toBe(
    'dd36b85d880107b52155410569f95436acd8b5a656bba83e37c4b0196fb32ae1',
  )
  const fields = { sid: 'a', gone: null }
  const _sig = signStreamEntry(key, stream, fields)
  expect(verifyStreamEntry(key, stream, { ...fields, _sig })).toBe(true)
  expect(verifyStreamEntry(key, stream, { ...fields, sid: 'b', _sig })).toBe(false)
  expect(verifyStreamEntry(key, stream, fields)).toBe(false)
})
