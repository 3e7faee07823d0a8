import { describe, expect, test } from 'vitest'
import { secretEquals, signHmac, verifyHmac } from '../../../src/platform/crypto/hmac.ts'
import { type KeySettings, keyRing } from '../../../src/platform/crypto/key-ring.ts'

const keyHex = '0123456789abcdef'.repeat(4)
const otherHex = 'fedcba9876543210'.repeat(4)

function settings(overrides: Partial<KeySettings> = {}): KeySettings {
  return {
    CARACAL_MODE: 'stable',
    AUDIT_HMAC_KEY: null,
    AUDIT_HMAC_KEY_PREVIOUS: null,
    STREAMS_HMAC_KEY: null,
    STREAMS_HMAC_KEY_PREVIOUS: null,
    GATEWAY_STS_HMAC_KEY: null,
    GATEWAY_STS_HMAC_KEY_PREVIOUS: null,
    IDEMPOTENCY_HMAC_KEY: null,
    IDEMPOTENCY_HMAC_KEY_PREVIOUS: null,
    ...overrides,
  }
}

describe('signatures', () => {
  const data = '{"id":"e1","zone_id":"z1"}'
  const signature = '29fc496a4c5532627bc3a3ccef2f36ab366b6928606bfec0f9f7b8333c391684'

  test('audit-and-events §2 vector', () => {
    const { audit } = keyRing(settings({ AUDIT_HMAC_KEY: keyHex }))
    expect(signHmac(audit, data)).toBe(signature)
    expect(verifyHmac(audit, data, signature)).toBe(true)
    expect(verifyHmac(audit, `${data} `, signature)).toBe(false)
  })

  test.each([null, undefined, '', 'zz', signature.slice(2), `${signature}00`])('refuses %s', (presented) => {
    expect(verifyHmac(keyRing(settings({ AUDIT_HMAC_KEY: keyHex })).audit, data, presented)).toBe(false)
  })

  test('the previous key verifies and does not sign', () => {
    const { audit } = keyRing(settings({ AUDIT_HMAC_KEY: otherHex, AUDIT_HMAC_KEY_PREVIOUS: keyHex }))
    expect(verifyHmac(audit, data, signature)).toBe(true)
    expect(signHmac(audit, data)).not.toBe(signature)
  })

  test('without a key nothing is signed and everything verifies', () => {
    const { audit } = keyRing(settings())
    expect(signHmac(audit, data)).toBeNull()
    expect(verifyHmac(audit, data, null)).toBe(true)
  })
})

describe('key ring', () => {
  test('dev mode has the documented idempotency key, stable has none', () => {
    expect(keyRing(settings({ CARACAL_MODE: 'dev' })).idempotency.current?.toString()).toBe(
      'caracal-development-idempotency-key',
    )
    expect(keyRing(settings()).idempotency.current).toBeNull()
  })
})

test('secretEquals', () => {
  expect(secretEquals('a', 'a')).toBe(true)
  expect(secretEquals('a', 'ab')).toBe(false)
  expect(secretEquals('', 'a')).toBe(false)
})
