import { describe, expect, it } from 'vitest'
import {
  contentHash,
  isHashable,
  linkHmac,
  parseInstant,
  type StoredForm,
  storableJson,
} from '../../../src/roles/audit/canonical.ts'
import { frame, isAuthentic } from '../../../src/roles/audit/frame.ts'

const key = Buffer.from('0123456789abcdef'.repeat(4), 'hex')

const first: StoredForm = {
  id: '0190f3c2-0000-7000-8000-000000000001',
  zoneId: 'zone-1',
  eventType: 'token_exchange',
  requestId: 'req-1',
  decision: 'allow',
  policySetId: '',
  policySetVersionId: 'psv-1',
  manifestSha: 'abc',
  evaluationStatus: 'complete',
  determiningPolicies: '[{"policy": "p1"}]',
  diagnostics: '[]',
  metadata: '{"resource": "resource://api", "application_id": "app-1"}',
  occurredAt: parseInstant('2026-05-21T12:00:00.123456Z') ?? { micros: 0n, text: '' },
}

describe('audit-and-events §5.4 vectors', () => {
  const firstHash = '09cba2c071d95ec3498407543b2002b363c740720d65daa869968c4af1f5e5bd'

  it('hashes and links the first event', () => {
    expect(first.occurredAt.micros * 1000n).toBe(1779364800123456000n)
    expect(contentHash(first)).toBe(firstHash)
    expect(linkHmac(key, firstHash, null)).toBe(
      '783b36ec21cb7e3cda4a7bcb4e418996836534bcb30f7d90458ac3bd2d469db0',
    )
  })

  it('hashes and links the second event with SQL NULL members', () => {
    const second: StoredForm = {
      ...first,
      id: '0190f3c2-0000-7000-8000-000000000002',
      eventType: 'replay_detected',
      requestId: 'req-2',
      decision: 'deny',
      policySetVersionId: '',
      manifestSha: '',
      evaluationStatus: 'anomaly',
      determiningPolicies: null,
      diagnostics: null,
      metadata: null,
      occurredAt: parseInstant('2026-05-21T12:00:01Z') ?? { micros: 0n, text: '' },
    }
    const hash = contentHash(second)
    expect(hash).toBe('a4b3a6869a08148dd1f97dad57187cdf91fb9e7a43d773ddcb7aaffbb0c511de')
    expect(linkHmac(key, hash, firstHash)).toBe(
      'db0893808298bb60e0cf7f8357f1cb3c91b5309ee46edfb0ea3f4e304aa0094b',
    )
  })

  it('changes with every field', () => {
    const hashes = new Set([contentHash(first)])
    for (const name of Object.keys(first) as (keyof StoredForm)[]) {
      const value = name === 'occurredAt' ? { micros: 1n, text: '' } : `${String(first[name] ?? '')}x`
      hashes.add(contentHash({ ...first, [name]: value }))
    }
    expect(hashes.size).toBe(Object.keys(first).length + 1)
  })
})

describe('producer signature', () => {
  const rotation = { current: key, accepted: [key] }

  it('signs the exact text (audit-and-events §2 vector)', () => {
    expect(frame('e1', '{"id":"e1","zone_id":"z1"}', rotation).sig).toBe(
      '29fc496a4c5532627bc3a3ccef2f36ab366b6928606bfec0f9f7b8333c391684',
    )
  })

  it('refuses a missing, malformed or foreign signature and any changed byte', () => {
    const { sig } = frame('e1', '{"id":"e1"}', rotation)
    expect(isAuthentic('{"id":"e1"}', sig, rotation)).toBe(true)
    expect(isAuthentic('{"id":"e2"}', sig, rotation)).toBe(false)
    expect(isAuthentic('{"id":"e1"}', undefined, rotation)).toBe(false)
    expect(isAuthentic('{"id":"e1"}', 'zz', rotation)).toBe(false)
    expect(isAuthentic('{"id":"e1"}', '0'.repeat(64), rotation)).toBe(false)
  })

  it('accepts the previous key while it rotates and everything without a key', () => {
    const old = Buffer.alloc(32, 7)
    const { sig } = frame('e1', '{}', { current: old, accepted: [old] })
    expect(isAuthentic('{}', sig, { current: key, accepted: [key, old] })).toBe(true)
    expect(isAuthentic('{}', undefined, { current: null, accepted: [] })).toBe(true)
  })
})

describe('time and text', () => {
  it('truncates nine digits to microseconds and honours offsets', () => {
    expect(parseInstant('2026-05-21T12:00:00.123456789Z')?.text).toBe('2026-05-21T12:00:00.123456Z')
    expect(parseInstant('2026-05-21T14:30:00.5+02:30')?.text).toBe('2026-05-21T12:00:00.500000Z')
  })

  it('refuses what is not RFC 3339', () => {
    for (const text of ['', 'yesterday', '2026-05-21', '2026-05-21T12:00:00', '2026-13-01T00:00:00Z']) {
      expect(parseInstant(text), text).toBeNull()
    }
  })

  it('refuses what is on no calendar, and knows what the hash can cover', () => {
    for (const text of ['2026-02-30T12:00:00Z', '2025-02-29T00:00:00+01:00', '2026-05-21T24:00:00Z'])
      expect(parseInstant(text), text).toBeNull()
    expect(parseInstant('2024-02-29T23:30:00-01:00')?.text).toBe('2024-03-01T00:30:00.000000Z')
    const hashable = (text: string) => isHashable(parseInstant(text) ?? { micros: 0n, text })
    expect(['1677-09-21T00:12:44Z', '2262-04-11T23:47:16Z'].map(hashable)).toEqual([true, true])
    expect(['0001-01-01T00:00:00Z', '1677-09-21T00:12:43Z', '9999-12-31T23:59:59Z'].map(hashable)).toEqual([
      false,
      false,
      false,
    ])
  })

  it('removes NUL escapes and nothing else', () => {
    expect(storableJson('{"a\\u0000b":"x\\u0000","n":1.0,"c":"\\\\u0000"}')).toBe(
      '{"ab":"x","n":1.0,"c":"\\\\u0000"}',
    )
  })

  it('replaces half a surrogate pair and leaves whole ones, escaped or not', () => {
    expect(
      storableJson(
        '{"\\ud800":"a\\uDC00b","p":"\\ud83d\\uDE00😀","q":"\\\\ud800","r":"\\ud800\\ud83d\\ude00"}',
      ),
    ).toBe('{"\ufffd":"a\ufffdb","p":"\\ud83d\\uDE00😀","q":"\\\\ud800","r":"\ufffd\\ud83d\\ude00"}')
    expect(storableJson('["\\ud800\\u0000\\udc00"]')).toBe('["\ufffd\ufffd"]')
  })
})
