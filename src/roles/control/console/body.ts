import type { Context } from 'hono'
import { readJson } from '../../../platform/http/body.ts'
import { parseWith } from '../../../platform/http/validate.ts'
import type * as v from '../../../platform/schema.ts'

/** What a page sent. Throws 400 `invalid_body`. */
export async function bodyOf<T extends v.GenericSchema>(c: Context, schema: T): Promise<v.InferOutput<T>> {
  const { value } = await readJson(c, { emptyJson: 'refused' })
  return parseWith(schema, value, 'invalid_body')
}
