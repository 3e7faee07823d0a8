/** Schema parts that several operations share. */
import { pageQuery } from '../../../platform/http/list-envelope.ts'
import * as v from '../../../platform/schema.ts'

export const name = v.pipe(v.string(), v.minLength(1))
export const nullableName = v.optional(v.nullable(name), null)
export const object = v.record(v.string(), v.unknown())
export const texts = v.array(name)
export const ttlSeconds = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(86_400))
export const leaseGeneration = v.pipe(v.number(), v.integer(), v.minValue(1))

/** Pages of the coordinator: `cursor` is the id of the last item seen, newest first (coordinator §4.6). */
export const page = pageQuery({ defaultLimit: 100, maxLimit: 500 })
export const pageOnly = v.object(page)

// Answers.
export const id = v.string()
export const nullableId = v.nullable(v.string())
export const instant = v.string()
export const nullableInstant = v.nullable(v.string())
export const count = v.number()
