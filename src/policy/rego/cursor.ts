/**
 * Where a parser stands in its tokens, and what it may say about the next one. It also counts how deep
 * brackets, bodies and operators are nested, so that no document can exhaust the stack.
 */
import { RegoSyntaxError } from './failure.ts'
import type { Token } from './lexer.ts'

/** Brackets, bodies and operators may nest this deep. */
export const MAX_NESTING = 100

export const keywords: ReadonlySet<string> = new Set([
  'as',
  'contains',
  'default',
  'else',
  'every',
  'false',
  'if',
  'import',
  'in',
  'not',
  'null',
  'package',
  'some',
  'true',
  'with',
])

export class Cursor {
  readonly #tokens: readonly Token[]
  #index = 0
  #nesting = 0
  #wildcards = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  /** A place to come `back` to, when what follows turns out to be something else. */
  mark(): number {
    return this.#index
  }

  back(mark: number): void {
    this.#index = mark
  }

  /** Every `_` is a variable of its own; the name cannot be written in a document. */
  wildcard(): string {
    this.#wildcards += 1
    return `_#${this.#wildcards}`
  }

  peek(): Token {
    return this.#tokens[this.#index] as Token
  }

  previous(): Token {
    return this.#tokens[Math.max(0, this.#index - 1)] as Token
  }

  next(): Token {
    const token = this.peek()
    if (token.kind !== 'end') this.#index += 1
    return token
  }

  isOperator(text: string): boolean {
    const token = this.peek()
    return token.kind === 'operator' && token.text === text
  }

  isKeyword(text: string): boolean {
    const token = this.peek()
    return token.kind === 'name' && token.text === text
  }

  /** What follows the bracket that closes the one at hand. */
  afterBracket(): Token {
    let depth = 0
    for (let index = this.#index; ; index += 1) {
      const token = this.#tokens[index] as Token
      if (token.kind === 'end') return token
      if (token.kind !== 'operator') continue
      if ('([{'.includes(token.text)) depth += 1
      else if (')]}'.includes(token.text)) depth -= 1
      if (depth === 0) return this.#tokens[index + 1] as Token
    }
  }

  beginsTerm(): boolean {
    const token = this.peek()
    if (token.kind === 'operator') return ['-', '(', '[', '{'].includes(token.text)
    return (
      token.kind !== 'end' && !(token.kind === 'name' && keywords.has(token.text) && !isLiteral(token.text))
    )
  }

  operator(text: string): void {
    const token = this.next()
    if (token.kind !== 'operator' || token.text !== text) {
      throw refused(`unexpected ${describe(token)}, expected ${text}`, token)
    }
  }

  keyword(text: string): void {
    const token = this.next()
    if (token.kind !== 'name' || token.text !== text) {
      throw refused(`unexpected ${describe(token)}, expected ${text}`, token)
    }
  }

  plainName(what: string): Token {
    const token = this.next()
    if (token.kind !== 'name' || keywords.has(token.text)) {
      throw refused(`unexpected ${describe(token)}, expected a ${what}`, token)
    }
    return token
  }

  /** One statement per line, or `;` between them. */
  endOfStatement(): void {
    const following = this.peek()
    if (following.kind === 'end') return
    if (this.isOperator(';')) {
      while (this.isOperator(';')) this.next()
      return
    }
    if (following.line === this.previous().line) {
      throw refused(`unexpected ${describe(following)}, expected a new line`, following)
    }
  }

  enter(): void {
    this.#nesting += 1
    if (this.#nesting > MAX_NESTING) throw refused('nested too deeply', this.peek())
  }

  leave(): void {
    this.#nesting -= 1
  }
}

export function refused(
  message: string,
  at: { readonly line: number; readonly column: number },
): RegoSyntaxError {
  return new RegoSyntaxError(message, at)
}

export function describe(token: Token): string {
  if (token.kind === 'end') return 'end of the document'
  return token.kind === 'string' ? 'string' : token.text
}

function isLiteral(name: string): boolean {
  return name === 'true' || name === 'false' || name === 'null'
}
