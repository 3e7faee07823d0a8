import { describe, expect, test } from 'vitest'
import { siblingId, uuidv4, uuidv7 } from '../../src/platform/ids.ts'

const v7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe('uuidv7', () => {
  test('carries the millisecond, version and variant', () => {
    const now = Date.now() + 60_000
    const id = uuidv7(now)
    expect(id).toMatch(v7)
    expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(now)
  })

  test('sorts by creation, also within one millisecond and past 4096 of them', () => {
    const now = Date.now() + 120_000
    const ids = Array.from({ length: 20_000 }, () => uuidv7(now))
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.toSorted()).toEqual(ids)
  })

  test('does not go back when the clock does', () => {
    const later = uuidv7(Date.now() + 240_000)
    expect(uuidv7(1_000) > later).toBe(true)
  })
})

test('a sibling is a UUID of the same kind, never the same one, and leads back', () => {
  const ids = Array.from({ length: 1000 }, () => uuidv7())
  const siblings = ids.map(siblingId)
  for (const sibling of siblings) expect(sibling).toMatch(v7)
  expect(new Set([...ids, ...siblings]).size).toBe(2000)
  expect(siblings.map(siblingId)).toEqual(ids)
  expect(siblingId('01a2038c-a721-762c-9e2d-ffffffffffff')).toBe('01a2038c-a721-762c-9e2d-000000000000')
})

test('uuidv4 has version 4', () => {
  expect(uuidv4()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/)
})
