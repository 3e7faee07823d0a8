/** Questions about the form of terms that need no evaluation. */
import { constantOf } from './constant.ts'
import type { Term } from './syntax.ts'
import { identityOf, type Value } from './value.ts'

export function constantKeys(path: readonly Term[]): readonly Value[] | null {
  const keys: Value[] = []
  for (const part of path) {
    const key = constantOf(part)
    if (key === undefined) return null
    keys.push(key)
  }
  return keys
}

/** Whether a value of `source` could match an array or object written as `pattern`; others always could. */
export function canFit(pattern: Term, source: Term): boolean {
  if (pattern.kind !== 'array' && pattern.kind !== 'object') return true
  if (source.kind === 'comprehension') return source.shape === pattern.kind
  return source.kind === 'variable' || source.kind === 'reference' || source.kind === 'call'
}

/** Parts that are evaluated before a negated equality, and must be defined for it to hold. */
export function hoistedFrom(term: Term): readonly Term[] {
  if (term.kind === 'reference') return [term.head, ...term.path].filter(isComputed)
  return isComputed(term) ? [term] : []
}

export function isComputed(term: Term): boolean {
  return term.kind !== 'scalar' && term.kind !== 'variable'
}

export function pairedEntries(
  left: Term & { readonly kind: 'object' },
  right: Term & { readonly kind: 'object' },
): (readonly [Term, Term])[] | null {
  const values = new Map<unknown, Term>()
  for (const [key, value] of right.entries) {
    const constant = constantOf(key)
    if (constant === undefined) return null
    values.set(identityOf(constant), value)
  }
  const pairs: (readonly [Term, Term])[] = []
  for (const [key, value] of left.entries) {
    const constant = constantOf(key)
    const other = constant === undefined ? undefined : values.get(identityOf(constant))
    if (other === undefined) return null
    pairs.push([value, other])
  }
  return left.entries.length === right.entries.length ? pairs : null
}
