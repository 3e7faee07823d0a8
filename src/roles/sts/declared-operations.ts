/**
 * Which declared operations a request may be (gateway §10): those of its exact path, else those of
 * the narrowest pattern. `{name}` stands for one segment, a trailing `/*` for all below. The path
 * is the decoded one that the gateway also sends; what some upstream could read as another path
 * than was judged stands for nothing.
 */

export interface DeclaredOperation {
  readonly method: string
  readonly path: string
  readonly scope: string
  /** `null`: the path means itself only. */
  readonly pattern: Pattern | null
}

interface Pattern {
  readonly segments: readonly string[]
  readonly open: boolean
  /** The lower in text order, the narrower: a digit for each segment. */
  readonly rank: string
}

const placeholder = /^\{[^{}]+\}$/
/** No dots that climb, no escape that is left, no parameter and no end of a path. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly what a segment must not hold
const plainSegment = /^(?!\.{1,2}$)[^%\\;?#\u0000-\u001f\u007f]+$/

export function declareOperation(method: string, path: string, scope: string): DeclaredOperation {
  return { method: method.trim().toUpperCase(), path, scope, pattern: patternOf(path) }
}

/** Equal for paths that no request can tell apart: placeholders count, their names do not. */
export function operationShape(path: string): string {
  return path
    .split('/')
    .map((segment) => (placeholder.test(segment) ? '{}' : segment))
    .join('/')
}

export function operationsOf(
  declared: readonly DeclaredOperation[],
  method: string,
  path: string,
): readonly DeclaredOperation[] {
  const candidates = declared.filter((operation) => operation.method === method)
  const found = narrowest(candidates, path)
  if (found.length > 0 || !path.endsWith('/')) return found
  // Many servers read a slash at the end as none: what is open below covers it where nothing narrower does.
  return narrowest(candidates, path.slice(0, -1)).filter(({ pattern }) => pattern?.open === true)
}

function narrowest(candidates: readonly DeclaredOperation[], path: string): readonly DeclaredOperation[] {
  const exact = candidates.filter((operation) => operation.path === path)
  if (exact.length > 0) return exact
  const given = path.split('/')
  const matching = candidates.filter(({ pattern }) => pattern !== null && matches(pattern, given))
  const ranks = matching.map(({ pattern }) => pattern?.rank ?? '').sort()
  return matching.filter(({ pattern }) => pattern?.rank === ranks[0])
}

function patternOf(path: string): Pattern | null {
  const segments = path.split('/')
  const open = segments.at(-1) === '*'
  const rank = segments.map((segment) => (placeholder.test(segment) ? '1' : '0')).join('')
  if (!open && !rank.includes('1')) return null
  return open
    ? { segments: segments.slice(0, -1), open, rank: `${rank.slice(0, -1)}2` }
    : { segments, open, rank }
}

function matches({ segments, open }: Pattern, given: readonly string[]): boolean {
  if (open ? given.length <= segments.length : given.length !== segments.length) return false
  return given.every((segment, index) => {
    const declared = segments[index]
    return declared === undefined || placeholder.test(declared)
      ? plainSegment.test(segment)
      : segment === declared
  })
}
