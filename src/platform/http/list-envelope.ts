/** The list envelope and its query (control-api §2.7). */
import * as v from '../schema.ts'

export interface Page<T> {
  readonly items: readonly T[]
  readonly next_cursor: string | null
}

/** `next_cursor` is set exactly when the page is full; `cursorOf` makes it from the last row. */
export function pageOf<T>(items: readonly T[], limit: number, cursorOf: (last: T) => string): Page<T> {
  const last = items.at(-1)
  return { items, next_cursor: items.length === limit && last !== undefined ? cursorOf(last) : null }
}

/** Entries of a list query: `limit` is refused outside its bounds, not clamped; `cursor` is opaque. */
export function pageQuery(bounds: { readonly defaultLimit: number; readonly maxLimit: number }) {
  return {
    limit: v.optional(
      v.pipe(
        v.string(),
        v.regex(/^\d{1,6}$/, 'must be an integer'),
        v.transform(Number),
        v.minValue(1),
        v.maxValue(bounds.maxLimit),
      ),
      String(bounds.defaultLimit),
    ),
    cursor: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(512))),
  }
}

/** Schema of a page of `item`, for responses and OpenAPI. */
export function pageSchema<const S extends v.GenericSchema>(item: S) {
  return v.object({ items: v.array(item), next_cursor: v.nullable(v.string()) })
}
