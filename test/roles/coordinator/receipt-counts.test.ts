import { expect, it } from 'vitest'
import { createReceiptCounts } from '../../../src/roles/coordinator/receipt-counts.ts'

const scope = { operation: 'session.start.v2', zoneId: 'z', scopeId: 'a' }
const limit = 10_000

it('a scope far below its limit is known once it was counted, and grows by what is stored', () => {
  const counts = createReceiptCounts()
  expect(counts.known(scope, limit)).toBeNull()
  counts.counted(scope, 10)
  counts.added(scope, 5)
  expect(counts.known(scope, limit)).toBe(15)
  expect(counts.known({ ...scope, scopeId: 'b' }, limit)).toBeNull()
})

it('a scope near its limit is counted each time, and so is one whose limit is small', () => {
  const counts = createReceiptCounts()
  counts.counted(scope, 7_999)
  expect(counts.known(scope, limit)).toBe(7_999)
  counts.added(scope, 2)
  expect(counts.known(scope, limit)).toBeNull()
  counts.counted(scope, 0)
  expect(counts.known(scope, 5)).toBeNull()
})
