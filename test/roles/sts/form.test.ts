import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isFormMediaType, parseForm } from '../../../src/roles/sts/form.ts'
import { encodeForm } from './world.ts'

const none = new Set<string>()
const parse = (text: string, repeatable = none) => parseForm(Buffer.from(text, 'latin1'), repeatable)

describe('form bodies', () => {
  test('whatever a client encodes is read back', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'))
    fc.assert(
      fc.property(fc.dictionary(text, text), (fields) => {
        const form = parse(encodeForm(fields))
        for (const [name, value] of Object.entries(fields)) expect(form.get(name)).toBe(value)
      }),
    )
  })

  test.each(['%', '%z', '%zz', 'a=%C3%28', 'a=%ff', 'a=1;b=2', 'a=%00', 'a%00=1', 'a=\xff'])(
    '%j is malformed',
    (body) => {
      expect(() => parse(body)).toThrow(expect.objectContaining({ code: 'invalid_token', status: 400 }))
    },
  )

  test('a repeated field is named, its value is not', () => {
    expect(() => parse('secret=s1&secret=s2')).toThrow(
      expect.objectContaining({ message: 'field secret must not be repeated' }),
    )
    expect(() => parse('a%0a=1&a%0a=2')).toThrow(
      expect.objectContaining({ message: 'field a? must not be repeated' }),
    )
    expect(parse('r=1&r=2', new Set(['r'])).getAll('r')).toEqual(['1', '2'])
  })

  test.each([
    ['application/x-www-form-urlencoded', true],
    ['Application/X-WWW-Form-Urlencoded; charset="utf-8"', true],
    ['application/x-www-form-urlencoded;charset=utf-8', true],
    ['application/x-www-form-urlencoded, text/plain', false],
    ['application/x-www-form-urlencoded ; charset = utf-8 ; a="b;\\"c" ;', true],
    ['application/x-www-form-urlencoded; charset', false],
    ['application/x-www-form-urlencoded; charset=utf-8 b', false],
    ['multipart/form-data', false],
    ['', false],
  ])('media type %j: %s', (header, accepted) => {
    expect(isFormMediaType(header)).toBe(accepted)
  })

  test.each(['', ';', '; a', '; a=', '; a=b', '; a="b"', '; a="'])(
    'a media type with %j and many spaces is refused as fast as a short one',
    (start) => {
      const began = performance.now()
      expect(isFormMediaType(`application/x-www-form-urlencoded${start}${' '.repeat(100_000)}/`)).toBe(false)
      // Where spaces can be shared out in two ways this takes seconds.
      expect(performance.now() - began).toBeLessThan(500)
    },
  )
})
