/** Terms that are values already: scalars, and arrays, objects and sets of such. */
import type { Term } from './syntax.ts'
import { equalValues, identityOf, RegoObject, RegoSet, type Value } from './value.ts'

/** The value of a term without variables, references, calls and comprehensions; `undefined` for any other. */
export function constantOf(term: Term): Value | undefined {
  switch (term.kind) {
    case 'scalar':
      return term.value
    case 'array':
      return constantsOf(term.items)
    case 'set': {
      const members = constantsOf(term.items)
      return members === undefined ? undefined : RegoSet.of(members)
    }
    case 'object': {
      const object = new RegoObject()
      for (const [keyTerm, valueTerm] of term.entries) {
        const key = constantOf(keyTerm)
        const value = constantOf(valueTerm)
        if (key === undefined || value === undefined) return undefined
        object.set(key, value)
      }
      return object
    }
    default:
      return undefined
  }
}

/** The first key that is written twice with different constant values; `null` without one. */
export function clashingKey(entries: readonly (readonly [Term, Term])[]): Term | null {
  const seen = new Map<unknown, Term>()
  for (const [keyTerm, valueTerm] of entries) {
    const key = constantOf(keyTerm)
    if (key === undefined) continue
    const identity = identityOf(key)
    const earlier = seen.get(identity)
    seen.set(identity, valueTerm)
    if (earlier === undefined) continue
    const left = constantOf(earlier)
    const right = constantOf(valueTerm)
    if (left !== undefined && right !== undefined && !equalValues(left, right)) return keyTerm
  }
  return null
}

function constantsOf(terms: readonly Term[]): readonly Value[] | undefined {
  const values: Value[] = []
  for (const term of terms) {
    const value = constantOf(term)
    if (value === undefined) return undefined
    values.push(value)
  }
  return values
}
