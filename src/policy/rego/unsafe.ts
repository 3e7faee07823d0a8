/** Says which variable keeps a statement from being evaluated, and where it stands. */
import { type Position, RegoSyntaxError } from './failure.ts'
import { type Resolution, unboundVariable, type Variable } from './resolve.ts'
import type { Term } from './syntax.ts'
import { visitDirect, visitTerm } from './walk.ts'

type Bound = ReadonlySet<Variable>

/** The refusal for terms that cannot be evaluated, at the first variable to blame. */
export function unsafeTerms(resolution: Resolution, terms: readonly Term[], bound: Bound): RegoSyntaxError {
  let at: Position = terms[0]?.at ?? { line: 1, column: 1 }
  let name: string | null = null
  const blame = (inner: Term, variables: Bound | null): void => {
    const variable = name === null ? unboundVariable(resolution, inner, bound) : null
    if (variable === null || (variables !== null && !variables.has(variable))) return
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
