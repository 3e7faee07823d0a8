import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { CompactSign, exportPKCS8, generateKeyPair, importJWK, importPKCS8, jwtVerify, SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { createSigner, parseCompact, verifySignature } from '../../../src/platform/jose/compact.ts'
import {
  generateSigningKeyPem,
  importVerificationJwk,
  openSigningKey,
  publicJwk,
} from '../../../src/platform/jose/zone-key.ts'

const privateKey = openSigningKey(generateSigningKeyPem())
const publicKey = createPublicKey(privateKey)
const signer = createSigner('key-1', privateKey)
const claims = {
  iss: 'http://localhost:8080',
  sub: 'app-1',
  zone_id: 'zone-1',
  act: { sub: 'agent:ü' },
  exp: 2_000_000_000,
}

function verifies(token: string): boolean {
  const jws = parseCompact(token)
  return jws !== null && verifySignature(jws, publicKey)
}

describe('agreement with jose', () => {
  test('jose verifies what we sign', async () => {
    const { payload, protectedHeader } = await jwtVerify(
      signer.sign(claims),
      await importJWK(publicJwk('key-1', privateKey), 'ES256'),
      { algorithms: ['ES256'] },
    )
    expect(payload).toEqual(claims)
    expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'key-1', typ: 'JWT' })
  })

  test('we verify what jose signs', async () => {
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'key-1' })
      .sign(await importPKCS8(pem, 'ES256'))
    expect(parseCompact(token)?.claims).toEqual(claims)
    expect(verifies(token)).toBe(true)
  })

  test('any claims survive the round trip both ways', async () => {
    const key = await importJWK(publicJwk('key-1', privateKey), 'ES256')
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue()), async (body) => {
        const token = signer.sign({
          ...body,
          exp: 2_000_000_000,
          nbf: 1,
          iat: 1,
          iss: 'i',
          sub: 's',
          aud: 'a',
          jti: 'j',
        })
        const { payload } = await jwtVerify(token, key)
        expect(parseCompact(token)?.claims).toEqual(payload)
        expect(verifies(token)).toBe(true)
      }),
      { numRuns: 30 },
    )
  })
})

describe('refusals', () => {
  const token = signer.sign(claims)
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

  test('a changed character anywhere breaks the token', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.='
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(...alphabet), (at, character) => {
        fc.pre(token[at] !== character)
        expect(verifies(token.slice(0, at) + character + token.slice(at + 1))).toBe(false)
      }),
      { numRuns: 400 },
    )
  })

  test.each([
    ['alg none, no signature', `${encode({ alg: 'none', kid: 'key-1' })}.${payload}.`],
    ['alg none, our signature', `${encode({ alg: 'none', kid: 'key-1' })}.${payload}.${signature}`],
    ['alg HS256', `${encode({ alg: 'HS256', kid: 'key-1' })}.${payload}.${signature}`],
    ['alg in another case', `${encode({ alg: 'es256', kid: 'key-1' })}.${payload}.${signature}`],
    ['no kid', `${encode({ alg: 'ES256' })}.${payload}.${signature}`],
    ['empty kid', `${encode({ alg: 'ES256', kid: '' })}.${payload}.${signature}`],
    ['crit', `${encode({ alg: 'ES256', kid: 'key-1', crit: ['exp'] })}.${payload}.${signature}`],
    ['unencoded payload', `${encode({ alg: 'ES256', kid: 'key-1', b64: false })}.${payload}.${signature}`],
    ['two parts', `${header}.${payload}`],
    ['four parts', `${token}.x`],
    ['padding', `${header}.${payload}.${signature}==`],
    ['short signature', `${header}.${payload}.${signature.slice(0, -2)}`],
    ['payload is an array', `${header}.${encode([1])}.${signature}`],
    ['payload is not JSON', `${header}.${Buffer.from('{').toString('base64url')}.${signature}`],
    [
      'payload is not UTF-8',
      `${header}.${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.${signature}`,
    ],
    ['space in front', ` ${token}`],
    ['over 8192 characters', signer.sign({ filler: 'x'.repeat(8000) })],
    ['empty', ''],
    ['dots', '..'],
  ])('%s', (_name, presented) => {
    expect(verifies(presented)).toBe(false)
  })

  test('a DER-encoded signature', async () => {
    const { sign } = await import('node:crypto')
    const der = sign('sha256', Buffer.from(`${header}.${payload}`), privateKey).toString('base64url')
    expect(verifies(`${header}.${payload}.${der}`)).toBe(false)
  })

  test('another key', () => {
    const other = createSigner('key-1', openSigningKey(generateSigningKeyPem()))
    expect(verifies(other.sign(claims))).toBe(false)
  })

  test('a token jose makes without kid', async () => {
    const { privateKey: other } = await generateKeyPair('ES256', { extractable: true })
    const unnamed = await new CompactSign(Buffer.from('{}')).setProtectedHeader({ alg: 'ES256' }).sign(other)
    expect(parseCompact(unnamed)).toBeNull()
    expect(openSigningKey(await exportPKCS8(other)).asymmetricKeyType).toBe('ec')
  })
})

describe('keys', () => {
  test('generated as SEC 1, opened as SEC 1 and PKCS#8, nothing but P-256', () => {
    expect(generateSigningKeyPem()).toMatch(/^-----BEGIN EC PRIVATE KEY-----/)
    const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).privateKey
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    for (const foreign of [p384, rsa]) {
      expect(() => openSigningKey(foreign.export({ type: 'pkcs8', format: 'pem' }) as string)).toThrow(
        'P-256',
      )
    }
  })

  test('published with all seven members and 32-byte coordinates', () => {
    for (let i = 0; i < 50; i++) {
      const jwk = publicJwk('k', openSigningKey(generateSigningKeyPem()))
      expect(Object.keys(jwk)).toEqual(['kty', 'crv', 'use', 'kid', 'alg', 'x', 'y'])
      expect([jwk.x, jwk.y].map((part) => Buffer.from(part, 'base64url').length)).toEqual([32, 32])
    }
  })

  test.each([
    ['kty', 'RSA'],
    ['crv', 'P-384'],
    ['alg', 'ES384'],
    ['alg', undefined],
    ['use', 'enc'],
    ['key_ops', ['sign']],
    ['kid', ''],
    ['kid', undefined],
    ['x', 'AAAA'],
    ['y', Buffer.alloc(32, 1).toString('base64url')],
  ])('a JWK with %s = %s verifies nothing', (member, value) => {
    const jwk = { ...publicJwk('k', privateKey), [member]: value }
    expect(importVerificationJwk(jwk)).toBeNull()
  })
})
