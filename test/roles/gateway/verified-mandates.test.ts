import { describe, expect, it } from 'vitest'
import type { MandateClaims } from '../../../src/roles/gateway/mandate.ts'
import { createVerifiedMandates } from '../../../src/roles/gateway/verified-mandates.ts'

const claimsUntil = (expiresAtMs: number): MandateClaims => ({ exp: expiresAtMs / 1000 }) as MandateClaims

describe('verified mandates', () => {
  const start = 1_800_000_000_000
  let now = start
  const open = () => {
    now = start
    return createVerifiedMandates(() => now)
  }

  it('are remembered for half a minute at least and a minute at most', () => {
    const verified = open()
    now = start + 10_000
    verified.add('a', claimsUntil(start + 600_000))
    now = start + 40_000
    expect(verified.get('a')).toBeDefined()
    now = start + 70_001
    expect(verified.get('a')).toBeUndefined()
  })

  it('are forgotten when nobody asked for a long time', () => {
    const verified = open()
    verified.add('a', claimsUntil(start + 600_000))
    now = start + 60_000
    expect(verified.get('a')).toBeUndefined()
  })

  it('never outlast the mandate', () => {
    const verified = open()
    verified.add('a', claimsUntil(start + 5000))
    now = start + 4999
    expect(verified.get('a')).toBeDefined()
    now = start + 5000
    expect(verified.get('a')).toBeUndefined()
  })

  it('are bounded in number: the older half goes', () => {
    const verified = open()
    for (let n = 0; n < 20_001; n += 1) verified.add(`m${n}`, claimsUntil(start + 600_000))
    expect(verified.get('m0')).toBeUndefined()
    expect(verified.get('m10000')).toBeDefined()
    expect(verified.get('m20000')).toBeDefined()
  })

  it('do not last when the clock is set back', () => {
    const verified = open()
    verified.add('a', claimsUntil(start + 600_000))
    now = start - 3_600_000
    expect(verified.get('a')).toBeUndefined()
  })

  it('are dropped together', () => {
    const verified = open()
    verified.add('a', claimsUntil(start + 600_000))
    verified.clear()
    expect(verified.get('a')).toBeUndefined()
  })
})
