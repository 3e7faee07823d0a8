/** When the audit stream is looked at (audit-and-events §6.5). */
import { expect, test } from 'vitest'
import { createTrimmer } from '../../../src/roles/audit/trim-stream.ts'

test('once a minute, sooner when much was stored, and nothing is asked between', async () => {
  let clock = 0
  let stored = 0
  let trims = 0
  const look = createTrimmer(
    async () => {
      trims += 1
    },
    () => stored,
    () => clock,
  )
  /** Every two seconds for a minute, with so much stored each time. */
  const minute = async (each: number): Promise<number> => {
    const before = trims
    for (let looks = 0; looks < 30; looks++) {
      clock += 2_000
      stored += each
      await look()
    }
    return trims - before
  }
  expect(await minute(0)).toBe(1)
  expect(await minute(0)).toBe(1)
  expect(await minute(100)).toBe(1)
  expect(await minute(1_000)).toBe(6)
  expect(await minute(10_000)).toBe(30)
})

test('a trim that fails is tried again with the next that is due', async () => {
  let clock = 0
  let trims = 0
  const look = createTrimmer(
    async () => {
      trims += 1
      throw new Error('store away')
    },
    () => 0,
    () => clock,
  )
  await expect(look()).rejects.toThrow('store away')
  await look()
  clock += 60_000
  await expect(look()).rejects.toThrow('store away')
  expect(trims).toBe(2)
})
