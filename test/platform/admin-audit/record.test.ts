import { describe, expect, test } from 'vitest'
import { changeSummary } from '../../../src/platform/admin-audit/change-summary.ts'
import { entityOf } from '../../../src/platform/admin-audit/entity.ts'
import {
  adminChainHmac,
  adminContentSha256,
  type SealedAdminAction,
  storableAction,
} from '../../../src/platform/admin-audit/record.ts'

const key = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
const vector: SealedAdminAction = {
  id: '0190f3c2-0000-7000-8000-0000000000a1',
  requestId: 'req-1',
  actor: { id: 'tok-1', name: 'bootstrap', scope: 'global' },
  action: 'POST /v1/zones',
  method: 'POST',
  path: '/v1/zones',
  zoneId: 'zone-1',
  entityType: 'zones',
  entityId: 'zone-1',
  statusCode: 201,
  payload: {
    rls_mode: 'control_plane_wildcard',
    rls_zone_guc: '*',
    change_kind: 'create',
    changed_fields: ['name'],
  },
  payloadText:
    '{"rls_mode": "control_plane_wildcard", "change_kind": "create", "rls_zone_guc": "*", "changed_fields": ["name"]}',
  occurredAt: '2026-05-21T12:00:00.000Z',
}

describe('vector of audit-and-events §8.2', () => {
  test('jsonb form (normative)', () => {
    const content = adminContentSha256(vector)
    expect(content).toBe('8924211b9d6044ebd6cd8ebae657b575c5448d317a5ec269ab4e7440e842a6e1')
    expect(adminChainHmac(key, content, null)).toBe(
      '779d89f809243ee5a631f928beae786a9a1855605c2bb713ed10d48c70f4fc84',
    )
  })

  test('script text form (documents v1)', () => {
    const content = adminContentSha256({ ...vector, payloadText: JSON.stringify(vector.payload) })
    expect(content).toBe('a1a3afbc5713b4a9f2c09590444dc7dab4b01e33fa70b93aa4e9849a60e5bc08')
    expect(adminChainHmac(key, content, null)).toBe(
      '75a661b8615759d54e1c93696dd8c7a0c8a9cb1ace6281b90964a7dd4f4fe9b7',
    )
  })

  test('no key, no hmac', () => {
    expect(adminChainHmac(null, 'a', null)).toBeNull()
  })
})

test('NUL and lone surrogates never reach the store', () => {
  const stored = storableAction({ ...vector, path: '/v1/\0x', payload: { 'a\0': ['b\0', { c: '\ud800' }] } })
  expect(stored.path).toBe('/v1/x')
  expect(stored.payload).toEqual({ a: ['b', { c: '\ufffd' }] })
})

describe('entityOf', () => {
  const rules = {
    collections: new Set(['zones', 'applications', 'policies']),
    pseudoIds: new Set(['dcr', 'validate']),
  }
  test.each([
    ['/v1/zones/z1/applications/a1', null, 'applications', 'a1'],
    ['/v1/zones/z1/applications/a1/rotate-secret', null, 'applications', 'a1'],
    ['/v1/zones/z1/applications', 'a2', 'applications', 'a2'],
    ['/v1/zones/z1/applications', null, 'zones', 'z1'],
    ['/v1/zones', 'z9', 'zones', 'z9'],
    ['/v1/zones/z1/applications/dcr', 'a3', 'applications', 'a3'],
    ['/v1/policies/validate', null, null, null],
    ['/v1/auth/login', 'x', null, null],
    ['/v1/zones/a%3Ab', null, 'zones', 'a:b'],
    ['/v1/zones/%ff', null, 'zones', null],
    [`/v1/zones/z1/applications/${'x'.repeat(129)}`, null, 'applications', null],
  ])('%s (created %s) is %s %s', (path, created, type, id) => {
    expect(entityOf(path, created, rules)).toEqual({ type, id })
  })
})

describe('changeSummary', () => {
  const rules = { collections: new Set(['zones', 'applications']) }
  const summary = (method: string, path: string, body?: unknown) =>
    changeSummary({ method, path, body }, rules)

  test.each([
    ['create', 'POST', '/v1/zones', { name: 'a' }, { change_kind: 'create', changed_fields: ['name'] }],
    ['delete', 'DELETE', '/v1/zones/z', undefined, { change_kind: 'delete' }],
    [
      'update',
      'PATCH',
      '/v1/zones/z',
      { b: 1, a: { d: { e: { f: 1 } }, c: [] }, empty: {} },
      { change_kind: 'update', changed_fields: ['a.c', 'a.d.e', 'b', 'empty'] },
    ],
    ['update of nothing', 'PATCH', '/v1/zones/z', {}, null],
    [
      'secret',
      'PATCH',
      '/v1/zones/z/applications/a',
      { name: 'x', config: { Client_Secret: 's' } },
      { change_kind: 'secret_rotation', changed_fields: ['config', 'name'], secret_rotated: true },
    ],
    [
      'rotation',
      'POST',
      '/v1/zones/z/applications/a/rotate-secret',
      undefined,
      { change_kind: 'secret_rotation', secret_rotated: true },
    ],
    ['action', 'POST', '/v1/zones/z/applications/a/archive', undefined, { change_kind: 'action' }],
  ])('%s', (_name, method, path, body, expected) => {
    expect(summary(method, path, body)).toEqual(expected)
  })

  test('at most 64 names, sorted, and never a value', () => {
    const body = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`field_${i}`, `value-${i}`]))
    const result = summary('POST', '/v1/zones', body)
    expect(result?.changed_fields).toHaveLength(64)
    expect(result?.changed_fields).toEqual(Object.keys(body).sort().slice(0, 64))
    expect(JSON.stringify(result)).not.toContain('value-')
  })
})
