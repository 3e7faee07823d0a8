import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createShortMemory } from '../../src/platform/short-memory.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

test('an entry is there for its time and gone after twice that, whoever else is set', () => {
  const memory = createShortMemory<number>({ max: 10, ms: 1000 })
  vi.advanceTimersByTime(900)
  memory.set('a', 1)
  vi.advanceTimersByTime(999)
  expect(memory.get('a')).toBe(1)
  vi.advanceTimersByTime(1002)
  memory.set('b', 2)
  expect(memory.get('a')).toBeUndefined()
  expect(memory.get('b')).toBe(2)
})

test('the newest value of a key counts', () => {
  const memory = createShortMemory<number>({ max: 10, ms: 1000 })
  memory.set('a', 1)
  vi.advanceTimersByTime(1001)
  memory.set('a', 2)
  expect(memory.get('a')).toBe(2)
})

test('more than two generations of entries are never held', () => {
  const memory = createShortMemory<number>({ max: 10, ms: 1000 })
  for (let n = 0; n < 100; n += 1) memory.set(String(n), n)
  const held = Array.from({ length: 100 }, (_, n) => memory.get(String(n))).filter((n) => n !== undefined)
  expect(held.length).toBeLessThanOrEqual(20)
  expect(held).toContain(99)
})
