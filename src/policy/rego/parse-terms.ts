/**
 * Expressions and terms of the Rego subset. A comprehension holds a body, so this file and `parse-body.ts`
 * call each other.
 */
import { clashingKey } from './constant.ts'
import { type Cursor, describe, keywords, MAX_NESTING, refused } from './cursor.ts'
import type { Token } from './lexer.ts'
import { decimalOf, fromDecimal, type Numeric } from './number.ts'
import { bodyUntil } from './parse-body.ts'
import type { Term } from './syntax.ts'

/** Operators of one level, from loosest to tightest; all associate to the left. */
const levels: readonly ReadonlySet<string>[] = [
  new Set(['==', '!=', '<', '<=', '>', '>=']),
  new Set(['|']),
  new Set(['&']),
  new Set(['+', '-']),
  new Set(['*', '/', '%']),
]

/** A full expression, where `key, value in collection` is allowed too. */
export function expression(tokens: Cursor): Term {
  return membership(tokens, false)
}

/** An element of a list: a comma ends it. */
function element(tokens: Cursor, start?: Term): Term {
  return membership(tokens, true, start)
}

// `start` is an operand that was read already: a bracket needs to see what
// follows its first operand, and reading it twice would be exponential.
function membership(tokens: Cursor, inList: boolean, start?: Term): Term {
  tokens.enter()
  let left = relation(tokens, start)
  if (!inList && tokens.isOperator(',')) {
    const mark = tokens.mark()
    tokens.next()
    if (tokens.beginsTerm()) {
      const value = relation(tokens)
      if (tokens.isKeyword('in')) {
        const at = tokens.next()
        left = { kind: 'call', at, name: 'in_with_key', operands: [left, value, relation(tokens)] }
      } else {
        tokens.back(mark)
      }
    } else {
      tokens.back(mark)
    }
  }
  while (tokens.isKeyword('in')) {
    const at = tokens.next()
    left = { kind: 'call', at, name: 'in', operands: [left, relation(tokens)] }
  }
  tokens.leave()
  return left
}

export function relation(tokens: Cursor, start?: Term): Term {
  return binary(tokens, 0, start)
}

function binary(tokens: Cursor, level: number, start?: Term): Term {
  const operators = levels[level]
  if (operators === undefined) return start ?? primary(tokens)
  let left = binary(tokens, level + 1, start)
  for (let chained = 0; ; chained += 1) {
    const token = tokens.peek()
    if (token.kind !== 'operator' || !operators.has(token.text)) return left
    // A chain of operators nests to the left as deep as it is long.
    if (chained > MAX_NESTING * 5) throw refused('expression is too long', token)
    tokens.next()
    left = { kind: 'call', at: token, name: token.text, operands: [left, binary(tokens, level + 1)] }
  }
}

function primary(tokens: Cursor): Term {
  tokens.enter()
  const term = path(tokens, head(tokens))
  tokens.leave()
  return term
}

function head(tokens: Cursor): Term {
  const token = tokens.peek()
  switch (token.kind) {
    case 'string':
      tokens.next()
      return { kind: 'scalar', at: token, value: token.text }
    case 'number':
      tokens.next()
      return { kind: 'scalar', at: token, value: token.number ?? 0 }
    case 'name':
      return nameTerm(tokens)
    case 'end':
      throw refused('unexpected end of the document', token)
    default:
  }
  switch (token.text) {
    case '-': {
      tokens.next()
      const number = tokens.next()
      if (number.kind !== 'number' || number.spaced) throw refused('expected a number after -', number)
      return { kind: 'scalar', at: token, value: negate(number.number ?? 0) }
    }
    case '(': {
      tokens.next()
      const term = expression(tokens)
      tokens.operator(')')
      return term
    }
    case '[':
      return array(tokens)
    case '{':
      return braces(tokens)
    default:
      throw refused(`unexpected ${describe(token)}`, token)
  }
}

function nameTerm(tokens: Cursor): Term {
  const token = tokens.next()
  switch (token.text) {
    case 'true':
      return { kind: 'scalar', at: token, value: true }
    case 'false':
      return { kind: 'scalar', at: token, value: false }
    case 'null':
      return { kind: 'scalar', at: token, value: null }
    default:
  }
  const calls = tokens.isOperator('(') && !tokens.peek().spaced
  if (keywords.has(token.text) && !(token.text === 'contains' && calls)) {
    throw refused(`unexpected keyword ${token.text}`, token)
  }
  return variable(tokens, token)
}

export function variable(tokens: Cursor, token: Token): Term {
  if (token.text !== '_') return { kind: 'variable', at: token, name: token.text }
  return { kind: 'variable', at: token, name: tokens.wildcard() }
}

/** References and calls: everything that follows its head without a space. */
function path(tokens: Cursor, start: Term): Term {
  let head = start
  let path: Term[] = []
  const close = (): Term => (path.length === 0 ? head : { kind: 'reference', at: head.at, head, path })
  for (let length = 0; ; length += 1) {
    const token = tokens.peek()
    if (token.spaced || token.kind !== 'operator') return close()
    if (length > MAX_NESTING) throw refused('reference is too long', token)
    if (token.text === '.') {
      if (head.kind === 'scalar') return close()
      tokens.next()
      const member = tokens.plainName('name after .')
      path.push({ kind: 'scalar', at: member, value: member.text })
    } else if (token.text === '[') {
      if (head.kind === 'scalar') return close()
      tokens.next()
      path.push(expression(tokens))
      tokens.operator(']')
    } else if (token.text === '(') {
      const name = dottedName(head, path)
      if (name === null) return close()
      tokens.next()
      const operands = termList(tokens, ')')
      head = { kind: 'call', at: head.at, name, operands }
      path = []
      if (name === 'set' && operands.length === 0) head = { kind: 'set', at: head.at, items: [] }
    } else {
      return close()
    }
  }
}

export function termList(tokens: Cursor, close: string, start?: Term): Term[] {
  const terms: Term[] = []
  let read = start
  while (read !== undefined || !tokens.isOperator(close)) {
    terms.push(element(tokens, read))
    read = undefined
    if (tokens.isOperator(',')) tokens.next()
    else if (!tokens.isOperator(close)) {
      throw refused(`unexpected ${describe(tokens.peek())}, expected , or ${close}`, tokens.peek())
    }
  }
  tokens.operator(close)
  return terms
}

function array(tokens: Cursor): Term {
  const at = tokens.next()
  if (tokens.isOperator(']')) {
    tokens.next()
    return { kind: 'array', at, items: [] }
  }
  const value = primary(tokens)
  if (tokens.isOperator('|')) {
    tokens.next()
    return { kind: 'comprehension', at, shape: 'array', key: null, value, body: bodyUntil(tokens, ']') }
  }
  return { kind: 'array', at, items: termList(tokens, ']', value) }
}

function braces(tokens: Cursor): Term {
  const at = tokens.next()
  if (tokens.isOperator('}')) {
    tokens.next()
    return { kind: 'object', at, entries: [] }
  }
  const first = primary(tokens)
  if (tokens.isOperator('|')) {
    tokens.next()
    return { kind: 'comprehension', at, shape: 'set', key: null, value: first, body: bodyUntil(tokens, '}') }
  }
  const key = element(tokens, first)
  if (tokens.isOperator(':')) return object(tokens, at, key)
  if (tokens.isOperator(',')) tokens.next()
  else if (!tokens.isOperator('}')) {
    throw refused(`unexpected ${describe(tokens.peek())}, expected , or }`, tokens.peek())
  }
  return { kind: 'set', at, items: [key, ...termList(tokens, '}')] }
}

function object(tokens: Cursor, at: Token, firstKey: Term): Term {
  tokens.operator(':')
  const firstValue = primary(tokens)
  if (tokens.isOperator('|')) {
    tokens.next()
    const body = bodyUntil(tokens, '}')
    return { kind: 'comprehension', at, shape: 'object', key: firstKey, value: firstValue, body }
  }
  const entries: [Term, Term][] = [[firstKey, element(tokens, firstValue)]]
  while (!tokens.isOperator('}')) {
    if (!tokens.isOperator(',')) {
      throw refused(`unexpected ${describe(tokens.peek())}, expected , or }`, tokens.peek())
    }
    tokens.next()
    if (tokens.isOperator('}')) break
    const key = element(tokens)
    tokens.operator(':')
    entries.push([key, element(tokens)])
  }
  tokens.operator('}')
  const clash = clashingKey(entries)
  if (clash !== null) throw refused('object has one key with two values', clash.at)
  return { kind: 'object', at, entries }
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
