/**
 * Tokens → syntax tree, by recursive descent. Whatever is not in the subset is
 * refused with its position; nothing is skipped. `if`, `in`, `contains` and
 * `every` are always keywords.
 */
import { clashingKey } from './constant.ts'
import { RegoSyntaxError } from './failure.ts'
import { type Comment, type Token, tokenize } from './lexer.ts'
import { decimalOf, fromDecimal, type Numeric } from './number.ts'
import type { Body, Module, Rule, Statement, Term } from './syntax.ts'

/** Brackets, bodies and operators may nest this deep. */
const MAX_NESTING = 100

const keywords = new Set([
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

const futureKeywords = new Set(['in', 'if', 'contains', 'every'])

/** Operators of one level, from loosest to tightest; all associate to the left. */
const levels: readonly ReadonlySet<string>[] = [
  new Set(['==', '!=', '<', '<=', '>', '>=']),
  new Set(['|']),
  new Set(['&']),
  new Set(['+', '-']),
  new Set(['*', '/', '%']),
]

/** Reads one module. Throws only `RegoSyntaxError`. */
export function parseModule(id: string, source: string): Module {
  const { tokens, comments } = tokenize(source)
  return new Parser(id, tokens, comments).module()
}

class Parser {
  readonly #id: string
  readonly #tokens: readonly Token[]
  readonly #comments: readonly Comment[]
  #index = 0
  #nesting = 0
  #wildcards = 0

  constructor(id: string, tokens: readonly Token[], comments: readonly Comment[]) {
    this.#id = id
    this.#tokens = tokens
    this.#comments = comments
  }

  module(): Module {
    this.#keyword('package')
    const path = this.#packagePath()
    this.#endOfStatement()
    while (this.#isKeyword('import')) {
      this.#import()
      this.#endOfStatement()
    }
    const rules: Rule[] = []
    while (this.#peek().kind !== 'end') {
      rules.push(this.#rule())
      this.#endOfStatement()
    }
    return { id: this.#id, package: path, rules, comments: this.#comments }
  }

  // Statements of a module

  #packagePath(): string[] {
    const path = [this.#plainName('package name').text]
    for (;;) {
      if (this.#isOperator('.') && !this.#peek().spaced) {
        this.#next()
        path.push(this.#plainName('package name').text)
      } else if (this.#isOperator('[') && !this.#peek().spaced) {
        this.#next()
        const part = this.#next()
        if (part.kind !== 'string' || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(part.text)) {
          throw refused('package name must be a path of names', part)
        }
        path.push(part.text)
        this.#operator(']')
      } else {
        return path
      }
    }
  }

  #import(): void {
    const at = this.#next()
    const path = [this.#next().text]
    while (this.#isOperator('.')) {
      this.#next()
      path.push(this.#next().text)
    }
    const [head, second, third] = path
    const known =
      (head === 'rego' && second === 'v1' && path.length === 2) ||
      (head === 'future' &&
        second === 'keywords' &&
        (path.length === 2 || (path.length === 3 && third !== undefined && futureKeywords.has(third))))
    if (!known) throw refused('only rego.v1 and future.keywords can be imported', at)
    if (this.#isKeyword('as')) throw refused('an import cannot be renamed', this.#peek())
  }

  #rule(): Rule {
    const at = this.#peek()
    const isDefault = this.#isKeyword('default')
    if (isDefault) this.#next()
    const name = this.#plainName('rule name')
    if (name.text === 'input' || name.text === 'data')
      throw refused(`${name.text} cannot be a rule name`, name)

    let kind: Rule['kind'] = 'complete'
    let parameters: Term[] = []
    let key: Term | null = null
    if (this.#isOperator('(') && !this.#peek().spaced) {
      kind = 'function'
      this.#next()
      parameters = this.#termList(')')
    } else if (this.#isOperator('[') && !this.#peek().spaced) {
      kind = 'object'
      this.#next()
      key = this.#expression()
      this.#operator(']')
    } else if (this.#isOperator('.') && !this.#peek().spaced) {
      kind = 'object'
      this.#next()
      const member = this.#plainName('name after .')
      key = { kind: 'scalar', at: member, value: member.text }
    }
    if (kind === 'object' && (this.#isOperator('.') || this.#isOperator('[')) && !this.#peek().spaced) {
      throw refused('a rule head may have one key', this.#peek())
    }

    let value: Term = { kind: 'scalar', at, value: true }
    let hasValue = false
    if (this.#isKeyword('contains')) {
      if (kind !== 'complete') throw refused('contains needs a plain rule name', this.#peek())
      this.#next()
      kind = 'set'
      value = this.#expression()
      hasValue = true
    } else if (this.#isOperator(':=') || this.#isOperator('=')) {
      this.#next()
      value = this.#expression()
      hasValue = true
    }

    let body: Body | null = null
    if (this.#isKeyword('if')) {
      this.#next()
      body = this.#ruleBody()
    } else if (this.#isOperator('{')) {
      throw refused('a rule body must follow the keyword if', this.#peek())
    } else if (!hasValue) {
      throw refused('a rule needs a value or a body', this.#peek())
    }

    const otherwise: { value: Term; body: Body | null; at: Token }[] = []
    while (this.#isKeyword('else')) {
      const branch = this.#next()
      if (kind !== 'complete' && kind !== 'function')
        throw refused('else needs a rule with one value', branch)
      if (body === null) throw refused('else must follow a rule body', branch)
      let branchValue: Term = { kind: 'scalar', at: branch, value: true }
      let branchHasValue = false
      if (this.#isOperator(':=') || this.#isOperator('=')) {
        this.#next()
        branchValue = this.#expression()
        branchHasValue = true
      }
      let branchBody: Body | null = null
      if (this.#isKeyword('if')) {
        this.#next()
        branchBody = this.#ruleBody()
      } else if (!branchHasValue) {
        throw refused('else needs a value or a body', this.#peek())
      }
      otherwise.push({ value: branchValue, body: branchBody, at: branch })
      if (branchBody === null) break
    }

    if (isDefault) {
      if (kind !== 'complete') throw refused('default needs a plain rule name', at)
      if (body !== null) throw refused('a default rule cannot have a body', at)
      if (!hasValue) throw refused('a default rule needs a value', at)
    }
    return { at, name: name.text, kind, isDefault, parameters, key, value, body, otherwise }
  }

  #ruleBody(): Body {
    if (!this.#isOperator('{')) return [this.#statement()]
    this.#next()
    return this.#bodyUntil('}')
  }

  // Statements of a body

  #bodyUntil(close: string): Body {
    this.#enter()
    const statements: Statement[] = []
    if (this.#isOperator(close)) throw refused('a body cannot be empty', this.#peek())
    for (;;) {
      statements.push(this.#statement())
      if (this.#isOperator(close)) break
      if (this.#isOperator(';')) {
        this.#next()
        continue
      }
      const following = this.#peek()
      if (following.line === this.#previous().line) {
        throw refused(`unexpected ${describe(following)}, expected a new line, ; or ${close}`, following)
      }
    }
    this.#operator(close)
    this.#leave()
    return statements
  }

  #statement(): Statement {
    const at = this.#peek()
    if (this.#isKeyword('some')) return this.#some()
    if (this.#isKeyword('every')) return this.#every()
    const negated = this.#isKeyword('not')
    if (negated) {
      this.#next()
      if (this.#isKeyword('some') || this.#isKeyword('every') || this.#isKeyword('not')) {
        throw refused(`not cannot be followed by ${this.#peek().text}`, this.#peek())
      }
    }
    const left = this.#expression()
    let statement: Statement
    if (this.#isOperator(':=')) {
      if (negated) throw refused('an assignment cannot be negated', this.#peek())
      this.#next()
      statement = { kind: 'assign', at, target: left, term: this.#expression() }
    } else if (this.#isOperator('=')) {
      this.#next()
      statement = { kind: 'unify', at, negated, left, right: this.#expression() }
    } else {
      statement = { kind: 'term', at, negated, term: left }
    }
    this.#refuseWith()
    return statement
  }

  #some(): Statement {
    const at = this.#next()
    const first = this.#relation()
    const terms = [first]
    while (this.#isOperator(',')) {
      this.#next()
      terms.push(this.#relation())
    }
    if (this.#isKeyword('in')) {
      if (terms.length > 2) throw refused('some … in takes at most a key and a value', at)
      this.#next()
      const domain = this.#relation()
      if (this.#isKeyword('in')) throw refused('some … in takes one collection', this.#peek())
      this.#refuseWith()
      const [key, value] = terms
      return value === undefined
        ? { kind: 'some', at, key: null, value: first, domain }
        : { kind: 'some', at, key: key ?? null, value, domain }
    }
    const names = terms.map((term) => {
      if (term.kind !== 'variable') throw refused('some declares variables', term.at)
      return term.name
    })
    return { kind: 'declare', at, names }
  }

  #every(): Statement {
    const at = this.#next()
    const first = this.#everyVariable()
    let second: Term | null = null
    if (this.#isOperator(',')) {
      this.#next()
      second = this.#everyVariable()
    }
    this.#keyword('in')
    const domain = this.#expression()
    this.#operator('{')
    const body = this.#bodyUntil('}')
    this.#refuseWith()
    return second === null
      ? { kind: 'every', at, key: null, value: first, domain, body }
      : { kind: 'every', at, key: first, value: second, domain, body }
  }

  #everyVariable(): Term {
    const name = this.#plainName('variable')
    return this.#variable(name)
  }

  #refuseWith(): void {
    if (this.#isKeyword('with')) throw refused('with is not supported', this.#peek())
  }

  // Terms

  /** A full expression, where `key, value in collection` is allowed too. */
  #expression(): Term {
    return this.#membership(false)
  }

  /** An element of a list: a comma ends it. */
  #element(start?: Term): Term {
    return this.#membership(true, start)
  }

  // `start` is an operand that was read already: a bracket needs to see what
  // follows its first operand, and reading it twice would be exponential.
  #membership(inList: boolean, start?: Term): Term {
    this.#enter()
    let left = this.#relation(start)
    if (!inList && this.#isOperator(',')) {
      const mark = this.#index
      this.#next()
      if (this.#beginsTerm()) {
        const value = this.#relation()
        if (this.#isKeyword('in')) {
          const at = this.#next()
          left = { kind: 'call', at, name: 'in_with_key', operands: [left, value, this.#relation()] }
        } else {
          this.#index = mark
        }
      } else {
        this.#index = mark
      }
    }
    while (this.#isKeyword('in')) {
      const at = this.#next()
      left = { kind: 'call', at, name: 'in', operands: [left, this.#relation()] }
    }
    this.#leave()
    return left
  }

  #relation(start?: Term): Term {
    return this.#binary(0, start)
  }

  #binary(level: number, start?: Term): Term {
    const operators = levels[level]
    if (operators === undefined) return start ?? this.#primary()
    let left = this.#binary(level + 1, start)
    for (let chained = 0; ; chained += 1) {
      const token = this.#peek()
      if (token.kind !== 'operator' || !operators.has(token.text)) return left
      // A chain of operators nests to the left as deep as it is long.
      if (chained > MAX_NESTING * 5) throw refused('expression is too long', token)
      this.#next()
      left = { kind: 'call', at: token, name: token.text, operands: [left, this.#binary(level + 1)] }
    }
  }

  #primary(): Term {
    this.#enter()
    const term = this.#path(this.#head())
    this.#leave()
    return term
  }

  #head(): Term {
    const token = this.#peek()
    switch (token.kind) {
      case 'string':
        this.#next()
        return { kind: 'scalar', at: token, value: token.text }
      case 'number':
        this.#next()
        return { kind: 'scalar', at: token, value: token.number ?? 0 }
      case 'name':
        return this.#nameTerm()
      case 'end':
        throw refused('unexpected end of the document', token)
      default:
    }
    switch (token.text) {
      case '-': {
        this.#next()
        const number = this.#next()
        if (number.kind !== 'number' || number.spaced) throw refused('expected a number after -', number)
        return { kind: 'scalar', at: token, value: negate(number.number ?? 0) }
      }
      case '(': {
        this.#next()
        const term = this.#expression()
        this.#operator(')')
        return term
      }
      case '[':
        return this.#array()
      case '{':
        return this.#braces()
      default:
        throw refused(`unexpected ${describe(token)}`, token)
    }
  }

  #nameTerm(): Term {
    const token = this.#next()
    switch (token.text) {
      case 'true':
        return { kind: 'scalar', at: token, value: true }
      case 'false':
        return { kind: 'scalar', at: token, value: false }
      case 'null':
        return { kind: 'scalar', at: token, value: null }
      default:
    }
    const calls = this.#isOperator('(') && !this.#peek().spaced
    if (keywords.has(token.text) && !(token.text === 'contains' && calls)) {
      throw refused(`unexpected keyword ${token.text}`, token)
    }
    return this.#variable(token)
  }

  #variable(token: Token): Term {
    if (token.text !== '_') return { kind: 'variable', at: token, name: token.text }
    this.#wildcards += 1
    return { kind: 'variable', at: token, name: `_#${this.#wildcards}` }
  }

  /** References and calls: everything that follows its head without a space. */
  #path(start: Term): Term {
    let head = start
    let path: Term[] = []
    const close = (): Term => (path.length === 0 ? head : { kind: 'reference', at: head.at, head, path })
    for (let length = 0; ; length += 1) {
      const token = this.#peek()
      if (token.spaced || token.kind !== 'operator') return close()
      if (length > MAX_NESTING) throw refused('reference is too long', token)
      if (token.text === '.') {
        if (head.kind === 'scalar') return close()
        this.#next()
        const member = this.#plainName('name after .')
        path.push({ kind: 'scalar', at: member, value: member.text })
      } else if (token.text === '[') {
        if (head.kind === 'scalar') return close()
        this.#next()
        path.push(this.#expression())
        this.#operator(']')
      } else if (token.text === '(') {
        const name = dottedName(head, path)
        if (name === null) return close()
        this.#next()
        const operands = this.#termList(')')
        head = { kind: 'call', at: head.at, name, operands }
        path = []
        if (name === 'set' && operands.length === 0) head = { kind: 'set', at: head.at, items: [] }
      } else {
        return close()
      }
    }
  }

  #termList(close: string, start?: Term): Term[] {
    const terms: Term[] = []
    let read = start
    while (read !== undefined || !this.#isOperator(close)) {
      terms.push(this.#element(read))
      read = undefined
      if (this.#isOperator(',')) this.#next()
      else if (!this.#isOperator(close)) {
        throw refused(`unexpected ${describe(this.#peek())}, expected , or ${close}`, this.#peek())
      }
    }
    this.#operator(close)
    return terms
  }

  #array(): Term {
    const at = this.#next()
    if (this.#isOperator(']')) {
      this.#next()
      return { kind: 'array', at, items: [] }
    }
    const value = this.#primary()
    if (this.#isOperator('|')) {
      this.#next()
      return { kind: 'comprehension', at, shape: 'array', key: null, value, body: this.#bodyUntil(']') }
    }
    return { kind: 'array', at, items: this.#termList(']', value) }
  }

  #braces(): Term {
    const at = this.#next()
    if (this.#isOperator('}')) {
      this.#next()
      return { kind: 'object', at, entries: [] }
    }
    const first = this.#primary()
    if (this.#isOperator('|')) {
      this.#next()
      return { kind: 'comprehension', at, shape: 'set', key: null, value: first, body: this.#bodyUntil('}') }
    }
    const key = this.#element(first)
    if (this.#isOperator(':')) return this.#object(at, key)
    if (this.#isOperator(',')) this.#next()
    else if (!this.#isOperator('}')) {
      throw refused(`unexpected ${describe(this.#peek())}, expected , or }`, this.#peek())
    }
    return { kind: 'set', at, items: [key, ...this.#termList('}')] }
  }

  #object(at: Token, firstKey: Term): Term {
    this.#operator(':')
    const firstValue = this.#primary()
    if (this.#isOperator('|')) {
      this.#next()
      const body = this.#bodyUntil('}')
      return { kind: 'comprehension', at, shape: 'object', key: firstKey, value: firstValue, body }
    }
    const entries: [Term, Term][] = [[firstKey, this.#element(firstValue)]]
    while (!this.#isOperator('}')) {
      if (!this.#isOperator(',')) {
        throw refused(`unexpected ${describe(this.#peek())}, expected , or }`, this.#peek())
      }
      this.#next()
      if (this.#isOperator('}')) break
      const key = this.#element()
      this.#operator(':')
      entries.push([key, this.#element()])
    }
    this.#operator('}')
    const clash = clashingKey(entries)
    if (clash !== null) throw refused('object has one key with two values', clash.at)
    return { kind: 'object', at, entries }
  }

  // Tokens

  #peek(): Token {
    return this.#tokens[this.#index] as Token
  }

  #previous(): Token {
    return this.#tokens[Math.max(0, this.#index - 1)] as Token
  }

  #next(): Token {
    const token = this.#peek()
    if (token.kind !== 'end') this.#index += 1
    return token
  }

  #isOperator(text: string): boolean {
    const token = this.#peek()
    return token.kind === 'operator' && token.text === text
  }

  #isKeyword(text: string): boolean {
    const token = this.#peek()
    return token.kind === 'name' && token.text === text
  }

  #beginsTerm(): boolean {
    const token = this.#peek()
    if (token.kind === 'operator') return ['-', '(', '[', '{'].includes(token.text)
    return (
      token.kind !== 'end' && !(token.kind === 'name' && keywords.has(token.text) && !isLiteral(token.text))
    )
  }

  #operator(text: string): void {
    const token = this.#next()
    if (token.kind !== 'operator' || token.text !== text) {
      throw refused(`unexpected ${describe(token)}, expected ${text}`, token)
    }
  }

  #keyword(text: string): void {
    const token = this.#next()
    if (token.kind !== 'name' || token.text !== text) {
      throw refused(`unexpected ${describe(token)}, expected ${text}`, token)
    }
  }

  #plainName(what: string): Token {
    const token = this.#next()
    if (token.kind !== 'name' || keywords.has(token.text)) {
      throw refused(`unexpected ${describe(token)}, expected a ${what}`, token)
    }
    return token
  }

  /** One statement per line, or `;` between them. */
  #endOfStatement(): void {
    const following = this.#peek()
    if (following.kind === 'end') return
    if (this.#isOperator(';')) {
      while (this.#isOperator(';')) this.#next()
      return
    }
    if (following.line === this.#previous().line) {
      throw refused(`unexpected ${describe(following)}, expected a new line`, following)
    }
  }

  #enter(): void {
    this.#nesting += 1
    if (this.#nesting > MAX_NESTING) throw refused('nested too deeply', this.#peek())
  }

  #leave(): void {
    this.#nesting -= 1
  }
}

function refused(message: string, at: { readonly line: number; readonly column: number }): RegoSyntaxError {
  return new RegoSyntaxError(message, at)
}

function describe(token: Token): string {
  if (token.kind === 'end') return 'end of the document'
  return token.kind === 'string' ? 'string' : token.text
}

function isLiteral(name: string): boolean {
  return name === 'true' || name === 'false' || name === 'null'
}

function negate(value: Numeric): Numeric {
  if (typeof value === 'number') return value === 0 ? 0 : -value
  const { digits, exponent } = decimalOf(value)
  return fromDecimal(-digits, exponent)
}

/** `startswith`, `regex.match`, `data.tools.allowed`: a head that can be called. */
function dottedName(head: Term, path: readonly Term[]): string | null {
  if (head.kind !== 'variable' || head.name.startsWith('_#')) return null
  let name = head.name
  for (const part of path) {
    if (part.kind !== 'scalar' || typeof part.value !== 'string') return null
    name += `.${part.value}`
  }
  return name
}
