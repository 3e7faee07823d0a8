/** Says which variable keeps a statement from being evaluated, and where it stands. */
import { type Position, RegoSyntaxError } from './failure.ts'
import { type Resolution, unboundVariable, type Variable } from './resolve.ts'
import type { Term } from './syntax.ts'
import { visitDirect, visitTerm } from './walk.ts'

type Bound = ReadonlySet<Variable>

/**
 * The refusal for terms that cannot be evaluated, at the first variable to blame. One that a reference would visit
 * every entry with is blamed only when no other is: alone it would have been bound.
 */
export function unsafeTerms(resolution: Resolution, terms: readonly Term[], bound: Bound): RegoSyntaxError {
  let at: Position = terms[0]?.at ?? { line: 1, column: 1 }
  let name: string | null = null
  let isVisited = false
  const visited = visitedBy(terms)
  const blame = (inner: Term, variables: Bound | null): void => {
    if (name !== null && (!isVisited || visited.has(inner))) return
    const variable = unboundVariable(resolution, inner, bound)
    if (variable === null || (variables !== null && !variables.has(variable))) return
    isVisited = visited.has(inner)
    name = variable.name.startsWith('_#') ? '_' : variable.name
    at = inner.at
  }
  for (const term of terms) {
    visitDirect(term, (inner) => blame(inner, null))
    visitTerm(term, (closure) => {
      const captured = resolution.captured.get(closure)
      if (captured !== undefined) visitTerm(closure, (inner) => blame(inner, captured))
    })
  }
  return new RegoSyntaxError(name === null ? 'expression is unsafe' : `variable ${name} is unsafe`, at)
}

/** Parts of the paths of references. */
function visitedBy(terms: readonly Term[]): ReadonlySet<Term> {
  const parts = new Set<Term>()
  for (const term of terms) {
    visitDirect(term, (inner) => {
      if (inner.kind === 'reference') for (const part of inner.path) parts.add(part)
    })
  }
  return parts
}
