/** Text → tokens. Knows strings, numbers, names, operators and comments; nothing of their meaning. */
import { type Position, RegoSyntaxError } from './failure.ts'
import { type Numeric, parseNumeric } from './number.ts'

type TokenKind = 'name' | 'string' | 'number' | 'operator' | 'end'

export interface Token extends Position {
  readonly kind: TokenKind
  /** The name, the operator, or the decoded string. */
  readonly text: string
  readonly number?: Numeric
  /** White space, a newline or a comment stands before it. */
  readonly spaced: boolean
}

export interface Comment extends Position {
  /** Text after `#`. */
  readonly text: string
}

export interface Tokens {
  readonly tokens: readonly Token[]
  readonly comments: readonly Comment[]
}

const operators2 = new Set([':=', '==', '!=', '<=', '>='])
const operators1 = new Set([...'=<>+-*/%&|()[]{},;:.'])
const namePattern = /[A-Za-z_][A-Za-z0-9_]*/y
const numberPattern = /(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y

/** Throws `RegoSyntaxError` at the first character that begins no token. */
export function tokenize(source: string): Tokens {
  const tokens: Token[] = []
  const comments: Comment[] = []
  let offset = 0
  let line = 1
  let lineStart = 0
  let spaced = false

  const here = (): Position => ({ line, column: offset - lineStart + 1 })
  const push = (kind: TokenKind, text: string, at: Position, number?: Numeric): void => {
    const token = { kind, text, line: at.line, column: at.column, spaced }
    tokens.push(number === undefined ? token : { ...token, number })
    spaced = false
  }

  while (offset < source.length) {
    const char = source.charAt(offset)
    if (char === '\n') {
      offset += 1
      line += 1
      lineStart = offset
      spaced = true
      continue
    }
    if (char === ' ' || char === '\t' || char === '\r') {
      offset += 1
      spaced = true
      continue
    }
    const at = here()
    if (char === '#') {
      const end = endOfLine(source, offset)
      comments.push({ ...at, text: source.slice(offset + 1, end) })
      offset = end
      spaced = true
      continue
    }
    if (char === '"') {
      const end = endOfString(source, offset, at)
      push('string', decodeString(source.slice(offset, end), at), at)
      offset = end
      continue
    }
    if (char === '`') {
      const end = source.indexOf('`', offset + 1)
      if (end === -1) throw new RegoSyntaxError('unterminated raw string', at)
      const text = source.slice(offset + 1, end)
      push('string', text, at)
      for (let index = offset; index < end; index += 1) {
        if (source.charCodeAt(index) === 10) {
          line += 1
          lineStart = index + 1
        }
      }
      offset = end + 1
      continue
    }
    namePattern.lastIndex = offset
    const name = namePattern.exec(source)
    if (name !== null) {
      push('name', name[0], at)
      offset = namePattern.lastIndex
      continue
    }
    if (char >= '0' && char <= '9') {
      numberPattern.lastIndex = offset
      const text = numberPattern.exec(source)?.[0] ?? ''
      const number = parseNumeric(text)
      offset += text.length
      if (number === undefined || /[A-Za-z0-9_]/.test(source.charAt(offset))) {
        throw new RegoSyntaxError('number is malformed or out of range', at)
      }
      push('number', text, at, number)
      continue
    }
    const pair = source.slice(offset, offset + 2)
    if (operators2.has(pair)) {
      push('operator', pair, at)
      offset += 2
      continue
    }
    if (!operators1.has(char)) throw new RegoSyntaxError(`unexpected character ${JSON.stringify(char)}`, at)
    push('operator', char, at)
    offset += 1
  }
  push('end', '', here())
  return { tokens, comments }
}

function endOfLine(source: string, from: number): number {
  const end = source.indexOf('\n', from)
  return end === -1 ? source.length : end
}

function endOfString(source: string, start: number, at: Position): number {
  for (let index = start + 1; index < source.length; index += 1) {
    const char = source.charCodeAt(index)
    if (char === 92) index += 1
    else if (char === 34) return index + 1
    else if (char === 10) break
  }
  throw new RegoSyntaxError('unterminated string', at)
}

function decodeString(literal: string, at: Position): string {
  try {
    return JSON.parse(literal) as string
  } catch {
    throw new RegoSyntaxError('string has an invalid escape or control character', at)
  }
}
