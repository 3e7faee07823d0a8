/** Which parts of `input` and `data` a module names, as dotted paths up to the first part that is not a name. */
import type { Module, Term } from './syntax.ts'
import { compareStrings } from './value.ts'
import { visitModule } from './walk.ts'

export interface ReferencedPaths {
  readonly inputs: readonly string[]
  readonly data: readonly string[]
}

/** Sorted and distinct. */
export function referencedPaths(module: Module): ReferencedPaths {
  const inputs = new Set<string>()
  const data = new Set<string>()
  visitModule(module, (term) => {
    const path = pathOf(term)
    if (path === null) return
    if (path.startsWith('input.')) inputs.add(path)
    else if (path.startsWith('data.')) data.add(path)
  })
  return { inputs: [...inputs].sort(compareStrings), data: [...data].sort(compareStrings) }
}

function pathOf(term: Term): string | null {
  if (term.kind !== 'reference' || term.head.kind !== 'variable') return null
  let path = term.head.name
  for (const part of term.path) {
    if (part.kind !== 'scalar' || typeof part.value !== 'string') break
    path += `.${part.value}`
  }
  return path
}
