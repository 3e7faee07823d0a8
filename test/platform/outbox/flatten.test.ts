import { describe, expect, test } from 'vitest'
import { flattenPayload, storedPayload } from '../../../src/platform/outbox/flatten.ts'

describe('payload of an event (audit-and-events §9.2, §10.1)', () => {
  test('everything becomes text; nothing and reserved names are left out', () => {
    expect(
      flattenPayload({
        text: 'a b',
        number: 7,
        flag: false,
        list: ['x', 1],
        object: { a: null },
        nothing: null,
        missing: undefined,
        outbox_id: 'x',
        dedupe_key: 'x',
        _sig: 'x',
      }),
    ).toEqual({ text: 'a b', number: '7', flag: 'false', list: '["x",1]', object: '{"a":null}' })
  })

  test('a line break in a text cannot forge a field of the signature', () => {
    expect(storedPayload({ reason: 'a\nzone_id=other\r\nx\ry', data: '{"a":"\\n"}', _sig: 'x' })).toEqual({
      reason: 'a zone_id=other x y',
      data: '{"a":"\\n"}',
    })
  })
})
