/** Shapes of answers, for the OpenAPI document. Answers are made from rows, not parsed, so these describe and never reject. */
import * as v from '../../../platform/schema.ts'

export const timestamp = v.pipe(v.string(), v.isoTimestamp())
export const attribution = {
  created_by: v.nullable(v.string()),
  created_via_operator: v.boolean(),
  updated_by: v.nullable(v.string()),
  updated_via_operator: v.boolean(),
  created_at: timestamp,
  updated_at: v.nullable(timestamp),
}

/** Names a schema, so the document refers to it instead of repeating it. */
export const named = <S extends v.GenericSchema>(ref: string, schema: S) =>
  v.pipe(schema, v.metadata({ ref }))

/** The list envelope of a row shape. */
export const pageOf = <S extends v.GenericSchema>(ref: string, row: S) =>
  named(`${ref}Page`, v.object({ items: v.array(row), next_cursor: v.nullable(v.string()) }))

export const anyJson = v.record(v.string(), v.unknown())
