/**
 * valibot to JSON Schema 2020-12, the dialect of OpenAPI 3.1. A schema named by
 * `v.metadata({ ref })` becomes a shared component. What the converter cannot express
 * throws, at start and in the tests; only refinements may stay text.
 */
import { toJsonSchema } from '@valibot/to-json-schema'
import type { GenericSchema } from '../schema.ts'

export type Json = Readonly<Record<string, unknown>>

/** Named schemas met while a document is made. */
export type SchemaComponents = Map<string, Json>

/** Actions that normalise what the schema already describes. */
const silentActions: ReadonlySet<string> = new Set(['trim', 'transform', 'to_lower_case', 'to_upper_case'])
/** Actions that refine it in ways JSON Schema has no word for; their own text is shown instead. */
const refiningActions: ReadonlySet<string> = new Set([
  'check',
  'partial_check',
  'raw_check',
  'forward',
  'check_items',
])

/** Bounds of a number that arrives as text (query strings) are kept: they bind the caller too. */
const boundsOfCoercedText: Readonly<Record<string, string>> = { min_value: 'minimum', max_value: 'maximum' }

function hoist(value: unknown, components: SchemaComponents): unknown {
  if (Array.isArray(value)) return value.map((entry) => hoist(entry, components))
  if (typeof value !== 'object' || value === null) return value
  const { ref, $schema: _dialect, ...rest } = value as Record<string, unknown>
  const schema = Object.fromEntries(
    Object.entries(rest).map(([name, member]) => [name, hoist(member, components)]),
  )
  if (typeof ref !== 'string') return ref === undefined ? schema : { ...schema, ref: hoist(ref, components) }
  const known = components.get(ref)
  if (known !== undefined && JSON.stringify(known) !== JSON.stringify(schema)) {
    throw new Error(`two different schemas are named ${ref}`)
  }
  components.set(ref, schema)
  return { $ref: `#/components/schemas/${ref}` }
}

/** The JSON Schema of what `schema` accepts. Throws when it cannot be expressed. */
export function jsonSchemaOf(schema: GenericSchema, components: SchemaComponents): Json {
  const converted = toJsonSchema(schema, {
    target: 'draft-2020-12',
    typeMode: 'ignore',
    overrideAction: ({ valibotAction, jsonSchema, errors }) => {
      if (errors === undefined) return null
      if (silentActions.has(valibotAction.type)) return jsonSchema
      const keyword = boundsOfCoercedText[valibotAction.type]
      if (keyword !== undefined) {
        return { ...jsonSchema, [keyword]: (valibotAction as { readonly requirement?: unknown }).requirement }
      }
      if (!refiningActions.has(valibotAction.type)) return null
      const { message } = valibotAction as { readonly message?: unknown }
      return typeof message === 'string' ? { ...jsonSchema, 'x-caracal-constraint': message } : jsonSchema
    },
  })
  return hoist(converted, components) as Json
}
