import { describe, expect, test } from 'vitest'
import {
  canonicalEntry,
  entrySignature,
  signEntry,
  verifyEntry,
} from '../../../src/platform/bus/signature.ts'

const hex = (text: string) => Buffer.from(text, 'hex')
const key = hex('0123456789abcdef'.repeat(4))
const other = hex('fedcba9876543210'.repeat(4))
const ring = { current: key, accepted: [key] }

describe('_sig (audit-and-events §9.3)', () => {
  test('canonical bytes', () => {
    expect(canonicalEntry('audit:events', { amount: '100', action: 'transfer' })).toBe(
      'audit:events\naction=transfer\namount=100\n',
    )
  })

  test.each([
    [
      'audit:events',
      { action: 'transfer', amount: '100' },
      'c06ccc579e026c31a97a04f203981b236a3c88041712e9b46242e8762da23d75',
    ],
    [
      'audit:events',
      { action: 'transfer', metadata: null },
      '93c82e377fc1ff7f1430549aa20cd20971150173b5996308ab84cb48d6f2683d',
    ],
    [
      'audit:events',
      { action: 'transfer', _sig: 'deadbeef' },
      '93c82e377fc1ff7f1430549aa20cd20971150173b5996308ab84cb48d6f2683d',
    ],
    [
      'audit:events',
      { active: 'true', count: '0', name: '' },
      'dd36b85d880107b52155410569f95436acd8b5a656bba83e37c4b0196fb32ae1',
    ],
    [
      'caracal.sessions.revoke',
      {
        outbox_id: '0190f3c2-0000-7000-8000-00000000000a',
        dedupe_key: 'agent_terminate:s1',
        zone_id: 'zone-1',
        session_id: 'ar-1',
        agent_session_id: 's1',
        reason: 'ttl',
      },
      '737bf4b9971bb33ec04ab0ff4c30edf83dad93347ed073ed1b2d0451a760d82c',
    ],
  ])('vector %s %j', (stream, fields, expected) => {
    expect(entrySignature(key, stream, fields as Record<string, string | null>)).toBe(expected)
  })

  test('verifies what was signed; not another stream, a changed, added or removed field, or no signature', () => {
    const signed = signEntry(ring, 's', { a: '1', b: '2' })
    expect(verifyEntry(ring, 's', signed)).toBe(true)
    expect(verifyEntry(ring, 't', signed)).toBe(false)
    expect(verifyEntry(ring, 's', { ...signed, a: '2' })).toBe(false)
    expect(verifyEntry(ring, 's', { ...signed, c: '' })).toBe(false)
    const { b: _b, ...without } = signed
    expect(verifyEntry(ring, 's', without)).toBe(false)
    expect(verifyEntry(ring, 's', { a: '1', b: '2' })).toBe(false)
    expect(verifyEntry(ring, 's', { a: '1', b: '2', _sig: '' })).toBe(false)
    expect(verifyEntry(ring, 's', { ...signed, _sig: (signed._sig as string).toUpperCase() })).toBe(false)
  })

  test('a foreign _sig is replaced, not signed over', () => {
    expect(signEntry(ring, 's', { a: '1', _sig: 'x' })).toEqual(signEntry(ring, 's', { a: '1' }))
  })

  test('the previous key still verifies and never signs', () => {
    const rotated = { current: other, accepted: [other, key] }
    expect(verifyEntry(rotated, 's', signEntry(ring, 's', { a: '1' }))).toBe(true)
    expect(verifyEntry(ring, 's', signEntry(rotated, 's', { a: '1' }))).toBe(false)
  })

  test('without any key nothing is signed and everything verifies; a key that is set always verifies', () => {
    const none = { current: null, accepted: [] }
    expect(signEntry(none, 's', { a: '1', _sig: 'x' })).toEqual({ a: '1' })
    expect(verifyEntry(none, 's', { a: '1' })).toBe(true)
    expect(verifyEntry({ current: null, accepted: [key] }, 's', { a: '1' })).toBe(false)
  })
})
