/**
 * glob.match: `*` stays between delimiters, `**` does not, `?` is one character
 * that is no delimiter, `[abc]` `[!abc]` `[a-z]` one of, `{a,b}` alternatives,
 * `\` quotes. No delimiters given means `.`, null means none at all.
 */
import { isArray, type Value } from '../value.ts'
import { type Builtin, textCost } from './builtin.ts'
import { assemble, type Node, type PointTest, type Program, run } from './pattern.ts'
import { remembered } from './remembered.ts'

export const globMatch: Builtin = {
  arity: 3,
  call: (machine, [pattern, delimiters, text]) => {
    if (typeof pattern !== 'string' || typeof text !== 'string') return undefined
    const separators = separatorsOf(delimiters as Value)
    if (separators === undefined) return undefined
    machine.tick(textCost(text.length))
    const program = compiled(JSON.stringify([separators, pattern]), () => machine.tick(1 + pattern.length))
    return program === undefined ? undefined : run(program, text, true, machine)
  },
}

function separatorsOf(delimiters: Value): string | undefined {
  if (delimiters === null) return ''
  if (!isArray(delimiters)) return undefined
  let separators = ''
  for (const delimiter of delimiters) {
    if (typeof delimiter !== 'string' || [...delimiter].length !== 1) return undefined
    separators += delimiter
  }
  return separators === '' ? '.' : separators
}

const compiled = remembered<Program>((key) => {
  const [separators, pattern] = JSON.parse(key) as [string, string]
  const node = new GlobParser(pattern, separators).parse()
  return node === undefined ? undefined : assemble(node)
})

const MAX_NESTING = 20

class GlobParser {
  readonly #points: readonly string[]
  readonly #plain: PointTest
  #index = 0

  constructor(pattern: string, separators: string) {
    this.#points = [...pattern]
    const codes = new Set(Array.from(separators, (char) => char.codePointAt(0)))
    this.#plain = (code) => !codes.has(code)
  }

  /** `undefined` for a malformed pattern. */
  parse(): Node | undefined {
    const node = this.#sequence(0)
    return this.#index === this.#points.length ? node : undefined
  }

  #sequence(nesting: number): Node | undefined {
    const parts: Node[] = []
    while (this.#index < this.#points.length) {
      const char = this.#points[this.#index] as string
      if (nesting > 0 && (char === ',' || char === '}')) break
      this.#index += 1
      const node = this.#part(char, nesting)
      if (node === undefined) return undefined
      parts.push(node)
    }
    return { kind: 'sequence', parts }
  }

  #part(char: string, nesting: number): Node | undefined {
    switch (char) {
      case '*': {
        const isSuper = this.#take('*')
        return {
          kind: 'repeat',
          part: { kind: 'point', test: isSuper ? () => true : this.#plain },
          min: 0,
          max: null,
        }
      }
      case '?':
        return { kind: 'point', test: this.#plain }
      case '[':
        return this.#class()
      case '{':
        return nesting < MAX_NESTING ? this.#alternatives(nesting + 1) : undefined
      case '\\': {
        const quoted = this.#points[this.#index]
        this.#index += 1
        return quoted === undefined ? undefined : literal(quoted)
      }
      default:
        return literal(char)
    }
  }

  #alternatives(nesting: number): Node | undefined {
    const parts: Node[] = []
    do {
      const part = this.#sequence(nesting)
      if (part === undefined) return undefined
      parts.push(part)
    } while (this.#take(','))
    return this.#take('}') ? { kind: 'choice', parts } : undefined
  }

  #class(): Node | undefined {
    const isNegated = this.#take('!')
    const members: string[] = []
    let isRange = false
    while (this.#index < this.#points.length && this.#points[this.#index] !== ']') {
      const isQuoted = this.#take('\\')
      const member = this.#points[this.#index]
      if (member === undefined) return undefined
      if (members.length === 1 && member === '-' && !isQuoted) isRange = true
      members.push(member)
      this.#index += 1
    }
    if (!this.#take(']') || members.length === 0 || (isRange && members.length !== 3)) return undefined
    const codes = members.map((member) => member.codePointAt(0) ?? 0)
    const [low = 0, , high = 0] = codes
    if (isRange && high < low) return undefined
    const test: PointTest = isRange ? (code) => code >= low && code <= high : (code) => codes.includes(code)
    return { kind: 'point', test: isNegated ? (code) => !test(code) : test }
  }

  #take(char: string): boolean {
    if (this.#points[this.#index] !== char) return false
    this.#index += 1
    return true
  }
}

function literal(char: string): Node {
  const wanted = char.codePointAt(0)
  return { kind: 'point', test: (code) => code === wanted }
}
