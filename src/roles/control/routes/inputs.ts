/** Building blocks of query strings and bodies (control-api §2.6, §2.7). Trim comes before length, as callers expect. */

import { isRealDate } from '../../../platform/real-date.ts'
import * as v from '../../../platform/schema.ts'

/** Trimmed text of `min` to `max` UTF-16 code units. */
export const trimmed = (min: number, max: number) =>
  v.pipe(v.string(), v.trim(), v.minLength(min), v.maxLength(max), storable)

/** Text of `min` to `max` UTF-16 code units, as given. */
export const text = (min: number, max: number) =>
  v.pipe(v.string(), v.minLength(min), v.maxLength(max), storable)

/** Postgres holds neither NUL nor half a surrogate pair; refusing them here keeps such input a 400. */
const storable = v.check<string, string>(
  (value) => !value.includes('\0') && !/\p{Surrogate}/u.test(value),
  'must be well-formed text without NUL',
)

const limitText = (fallback: number, max: number) =>
  v.optional(
    v.pipe(v.string(), v.digits(), v.transform(Number), v.integer(), v.minValue(1), v.maxValue(max)),
    String(fallback),
  )

const cursorText = v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(512)))

/** `limit` and `cursor` of a list; default 200, at most 500. */
export const pageEntries = { limit: limitText(200, 500), cursor: cursorText }

/** The larger window of audit, session and authority-record lists; default 100, at most 1000. */
export const windowEntries = { limit: limitText(100, 1000), cursor: cursorText }

export const limitEntry = limitText

export const pageQuery = v.object(pageEntries)

/** `status=active|archived` next to the page. */
export const statusPageQuery = v.object({
  ...pageEntries,
  status: v.optional(v.picklist(['active', 'archived']), 'active'),
})

const instantPattern = /^\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?Z$/

/** ISO date-time in UTC (`Z`), a real date; numeric offsets are refused. */
export const instant = v.pipe(
  v.string(),
  v.maxLength(40),
  v.regex(instantPattern),
  v.check(isRealDate, 'must be a real date'),
)

export const identifier = text(1, 128)

/** A comma list of at most `max` non-empty words. */
export const commaList = (max: number) =>
  v.pipe(
    v.string(),
    v.maxLength(4096),
    storable,
    v.transform((value) =>
      value
        .split(',')
        .map((word) => word.trim())
        .filter((word) => word !== ''),
    ),
    v.minLength(1),
    v.maxLength(max),
  )

/** JSON object of any members. */
export const anyObject = v.record(v.string(), v.unknown())

/** True when a PATCH body holds no field to change. */
export function isEmptyPatch(body: Readonly<Record<string, unknown>>): boolean {
  return Object.values(body).every((value) => value === undefined)
}
