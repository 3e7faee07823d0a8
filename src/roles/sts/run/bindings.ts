/** What a workload may be launched with: environment names bound to resources and scopes (sts §14). */
import * as v from '../../../platform/schema.ts'

const binding = v.object({
  env: v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/)),
  resource: v.pipe(v.string(), v.minLength(1)),
  scopes: v.optional(v.nullable(v.pipe(v.array(v.string()), v.maxLength(32)))),
  optional: v.optional(v.nullable(v.boolean())),
  on_failure: v.optional(v.nullable(v.string())),
})

const bindings = v.pipe(v.array(binding), v.maxLength(64))

export interface Binding {
  readonly env: string
  readonly resource: string
  readonly scopes: readonly string[]
  readonly optional: boolean
  /** `''` = the launcher's default. */
  readonly onFailure: string
}

/** The bindings, or `null` when the stored document cannot be read. */
export function readBindings(stored: unknown): readonly Binding[] | null {
  const parsed = v.safeParse(bindings, stored)
  if (!parsed.success) return null
  return parsed.output.map((entry) => ({
    env: entry.env,
    resource: entry.resource,
    scopes: entry.scopes ?? [],
    optional: entry.optional ?? false,
    onFailure: entry.on_failure ?? '',
  }))
}

/** Wire form: defaults are left out. */
export function bindingDocument(entry: Binding) {
  return {
    env: entry.env,
    resource: entry.resource,
    ...(entry.scopes.length === 0 ? {} : { scopes: entry.scopes }),
    ...(entry.optional ? { optional: true } : {}),
    ...(entry.onFailure === '' || entry.onFailure === 'error' ? {} : { on_failure: entry.onFailure }),
  }
}
