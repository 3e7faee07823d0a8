/** Query members the operator routes share (audit-and-events §7.2). */
import * as v from '../../../platform/schema.ts'
import { parseInstant } from '../canonical.ts'

const maxLimit = 1000

/** A positive integer, clamped to 1000. */
export const limit = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^\d+$/, 'must be a positive integer'),
    v.transform(Number),
    v.minValue(1, 'must be a positive integer'),
    v.transform((given) => Math.min(given, maxLimit)),
  ),
  '100',
)

/** RFC 3339; comes out in UTC with microseconds. */
export const instant = v.pipe(
  v.string(),
  v.check((text) => parseInstant(text) !== null, 'must be an RFC 3339 timestamp'),
  v.transform((text) => (parseInstant(text) as { text: string }).text),
)

export const zone = v.pipe(v.string(), v.minLength(1), v.maxLength(128))

/** A `chain_seq` to go on after. */
export const sequence = v.pipe(
  v.string(),
  v.regex(/^\d{1,15}$/, 'must be a sequence number'),
  v.transform(Number),
)
