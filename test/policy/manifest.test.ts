import { expect, test } from 'vitest'
import {
  canonicalManifest,
  contentSha256,
  MAX_MANIFEST_ENTRIES,
  manifestSha256,
  readManifest,
  schemaVersionProblem,
} from '../../src/policy/index.ts'

test('the published vector reproduces', () => {
  expect(canonicalManifest(['pv-1'])).toBe('[{"policy_version_id":"pv-1"}]')
  expect(manifestSha256(['pv-1'])).toBe('91b75ab3559277a91e4c37e18e60a405963aa4893f36d8e237f7907a79763f97')
})

test('a manifest keeps its order and drops unknown members', () => {
  const reading = readManifest([{ policy_version_id: 'b', note: 1 }, { policy_version_id: 'a' }])
  expect(reading).toMatchObject({ ok: true, policyVersionIds: ['b', 'a'] })
  expect(reading.ok && reading.sha256).toBe(manifestSha256(['b', 'a']))
  expect(manifestSha256(['b', 'a'])).not.toBe(manifestSha256(['a', 'b']))
})

test('a manifest has 1 to 256 distinct entries with an id', () => {
  const ids = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ policy_version_id: `pv-${index}` }))
  expect(readManifest(ids(MAX_MANIFEST_ENTRIES)).ok).toBe(true)
  for (const refused of [
    ids(MAX_MANIFEST_ENTRIES + 1),
    [],
    {},
    null,
    [null],
    [{}],
    [{ policy_version_id: '' }],
    [...ids(1), ...ids(1)],
  ]) {
    expect(readManifest(refused)).toMatchObject({ ok: false, message: expect.stringMatching(/^manifest /) })
  }
})

test('content is hashed as UTF-8', () => {
  expect(contentSha256('é')).toBe('4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c')
})

test('only the current schema version loads', () => {
  expect(schemaVersionProblem('2026-05-20')).toBeNull()
  expect(schemaVersionProblem('1')).toBe('unsupported_schema_version:1')
})
