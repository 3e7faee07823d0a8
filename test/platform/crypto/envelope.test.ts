import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createEnvelopeCipher,
  EnvelopeError,
  type EnvelopeFailure,
} from '../../../src/platform/crypto/envelope.ts'

const kekHex = '8f3d9a712c45e6b0d18f2a4c6e9b3d57a1c4f8020e6a9c3d5b7f1a2c4e6d8b90'
const golden = Buffer.from(
  '435353318547798a706fba7297f14e4710dbb70cafae5284625e843ff8421f7c39a916393521998fb02c28cb8ed66bd59c3ee433fdb69dbe116f295b047f469dda4e0b18458de702ee430005bce2eb80fa7179ebc2f1703b332eb089df95e40689a592b90f696c8a10b80922d812515ec4db3ff067ccb578a016521c9e815538',
  'hex',
)
const aad = 'caracal/test/golden'
const cipher = createEnvelopeCipher({ kek: Buffer.from(kekHex, 'hex') })

function failure(work: () => unknown): EnvelopeFailure | 'opened' {
  try {
    work()
    return 'opened'
  } catch (error) {
    if (error instanceof EnvelopeError) return error.reason
    throw error
  }
}

describe('CSS1 (sts §18, check 56)', () => {
  test('the golden vector opens', () => {
    expect(cipher.keyId).toBe('8547798a706fba72')
    expect(golden.subarray(4, 12).toString('hex')).toBe('8547798a706fba72')
    expect(cipher.open(golden, aad).toString()).toBe('cross-language golden secret')
  })

  test('any flipped byte is refused with the reason of its field', () => {
    for (let at = 0; at < golden.length; at++) {
      const tampered = Buffer.from(golden)
      tampered[at] = (tampered[at] as number) ^ 0x01
      const expected: EnvelopeFailure =
        at < 4
          ? 'unknown_format'
          : at < 12
            ? 'different_kek'
            : at < 72
              ? 'data_key_rejected'
              : 'value_rejected'
      expect(
        failure(() => cipher.open(tampered, aad)),
        `byte ${at}`,
      ).toBe(expected)
    }
  })

  test('a wrong AAD, 99 bytes and another KEK are refused', () => {
    expect(failure(() => cipher.open(golden, 'caracal/test/other'))).toBe('value_rejected')
    expect(failure(() => cipher.open(golden.subarray(0, 99), aad))).toBe('too_short')
    const other = createEnvelopeCipher({ kek: randomBytes(32) })
    expect(failure(() => other.open(golden, aad))).toBe('different_kek')
  })

  test('what is sealed opens, the empty value in 100 bytes', () => {
    expect(cipher.seal(new Uint8Array(0), aad)).toHaveLength(100)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), (value, place) => {
        expect(cipher.open(cipher.seal(value, place), place)).toEqual(Buffer.from(value))
      }),
    )
  })

  test('rotation: the previous KEK opens, the current one seals', () => {
    const next = createEnvelopeCipher({ kek: randomBytes(32), previous: Buffer.from(kekHex, 'hex') })
    expect(next.open(golden, aad).toString()).toBe('cross-language golden secret')
    expect(next.seal(Buffer.from('x'), aad).subarray(4, 12).toString('hex')).toBe(next.keyId)
  })
})
