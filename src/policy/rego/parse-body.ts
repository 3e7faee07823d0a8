/** Bodies of rules, comprehensions and `every`: statements, one a line or with `;` between them. */
import { type Cursor, describe, refused } from './cursor.ts'
import { expression, relation, variable } from './parse-terms.ts'
import type { Body, Statement, Term } from './syntax.ts'

export function bodyUntil(tokens: Cursor, close: string): Body {
  tokens.enter()
  const statements: Statement[] = []
  if (tokens.isOperator(close)) throw refused('a body cannot be empty', tokens.peek())
  for (;;) {
    statements.push(statement(tokens))
    if (tokens.isOperator(close)) break
    if (tokens.isOperator(';')) {
      tokens.next()
      continue
    }
    const following = tokens.peek()
    if (following.line === tokens.previous().line) {
      throw refused(`unexpected ${describe(following)}, expected a new line, ; or ${close}`, following)
    }
  }
  tokens.operator(close)
  tokens.leave()
  return statements
}

export function statement(tokens: Cursor): Statement {
  const at = tokens.peek()
  if (tokens.isKeyword('some')) return someStatement(tokens)
  if (tokens.isKeyword('every')) return everyStatement(tokens)
  const negated = tokens.isKeyword('not')
  if (negated) {
    tokens.next()
    if (tokens.isKeyword('some') || tokens.isKeyword('every') || tokens.isKeyword('not')) {
      throw refused(`not cannot be followed by ${tokens.peek().text}`, tokens.peek())
    }
  }
  const left = expression(tokens)
  let statement: Statement
  if (tokens.isOperator(':=')) {
    if (negated) throw refused('an assignment cannot be negated', tokens.peek())
    tokens.next()
    statement = { kind: 'assign', at, target: left, term: expression(tokens) }
  } else if (tokens.isOperator('=')) {
    tokens.next()
    statement = { kind: 'unify', at, negated, left, right: expression(tokens) }
  } else {
    statement = { kind: 'term', at, negated, term: left }
  }
  refuseWith(tokens)
  return statement
}

function someStatement(tokens: Cursor): Statement {
  const at = tokens.next()
  const first = relation(tokens)
  const terms = [first]
  while (tokens.isOperator(',')) {
    tokens.next()
    terms.push(relation(tokens))
  }
  if (tokens.isKeyword('in')) {
    if (terms.length > 2) throw refused('some … in takes at most a key and a value', at)
    tokens.next()
    const domain = relation(tokens)
    if (tokens.isKeyword('in')) throw refused('some … in takes one collection', tokens.peek())
    refuseWith(tokens)
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

function everyStatement(tokens: Cursor): Statement {
  const at = tokens.next()
  const first = everyVariable(tokens)
  let second: Term | null = null
  if (tokens.isOperator(',')) {
    tokens.next()
    second = everyVariable(tokens)
  }
  tokens.keyword('in')
  const domain = expression(tokens)
  tokens.operator('{')
  const body = bodyUntil(tokens, '}')
  refuseWith(tokens)
  return second === null
    ? { kind: 'every', at, key: null, value: first, domain, body }
    : { kind: 'every', at, key: first, value: second, domain, body }
}

function everyVariable(tokens: Cursor): Term {
  const name = tokens.plainName('variable')
  return variable(tokens, name)
}

function refuseWith(tokens: Cursor): void {
  if (tokens.isKeyword('with')) throw refused('with is not supported', tokens.peek())
}
