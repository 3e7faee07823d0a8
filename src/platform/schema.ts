/**
 * valibot, with one difference: to valibot every array is an object, and `[]` would pass where an object
 * with nothing but optional members is asked for. Here an object is an object of JSON (RFC 8259 §4).
 */
// biome-ignore lint/style/noRestrictedImports: this is where it comes from.
import * as valibot from 'valibot'

// biome-ignore lint/style/noRestrictedImports: this is where it comes from.
export * from 'valibot'

export const object: typeof valibot.object = withoutArrays(valibot.object)
export const looseObject: typeof valibot.looseObject = withoutArrays(valibot.looseObject)
export const strictObject: typeof valibot.strictObject = withoutArrays(valibot.strictObject)
export const record: typeof valibot.record = withoutArrays(valibot.record)

function withoutArrays<F extends (...args: never[]) => valibot.GenericSchema>(make: F): F {
  const made = (...args: Parameters<F>): valibot.GenericSchema => {
    const schema = make(...args)
    const run = schema['~run']
    // `this`, not `schema`: valibot derives schemas (`partial`, `pick`) by copying members.
    function runOnObjects(this: typeof schema, ...[dataset, config]: Parameters<typeof run>) {
      if (!Array.isArray(dataset.value)) return run.call(this, dataset, config)
      valibot._addIssue(this, 'type', dataset, config)
      return dataset
    }
    return Object.assign(schema, { '~run': runOnObjects })
  }
  return made as F
}
