/**
 * Tokens → syntax tree, by recursive descent: a module and its rules. Whatever is not in the subset is
 * refused with its position; nothing is skipped. `if`, `in`, `contains` and `every` are always keywords.
 */
import { Cursor, refused } from './cursor.ts'
import { type Token, tokenize } from './lexer.ts'
import { bodyUntil, statement } from './parse-body.ts'
import { expression, termList } from './parse-terms.ts'
import type { Body, Module, Rule, Term } from './syntax.ts'

const futureKeywords = new Set(['in', 'if', 'contains', 'every'])

/** Reads one module. Throws only `RegoSyntaxError`. */
export function parseModule(id: string, source: string): Module {
  const { tokens: read, comments } = tokenize(source)
  const tokens = new Cursor(read)
  tokens.keyword('package')
  const path = packagePath(tokens)
  tokens.endOfStatement()
  while (tokens.isKeyword('import')) {
    importStatement(tokens)
    tokens.endOfStatement()
  }
  const rules: Rule[] = []
  while (tokens.peek().kind !== 'end') {
    rules.push(rule(tokens))
    tokens.endOfStatement()
  }
  return { id, package: path, rules, comments }
}

function packagePath(tokens: Cursor): string[] {
  const path = [tokens.plainName('package name').text]
  for (;;) {
    if (tokens.isOperator('.') && !tokens.peek().spaced) {
      tokens.next()
      path.push(tokens.plainName('package name').text)
    } else if (tokens.isOperator('[') && !tokens.peek().spaced) {
      tokens.next()
      const part = tokens.next()
      if (part.kind !== 'string' || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(part.text)) {
        throw refused('package name must be a path of names', part)
      }
      path.push(part.text)
      tokens.operator(']')
    } else {
      return path
    }
  }
}

function importStatement(tokens: Cursor): void {
  const at = tokens.next()
  const path = [tokens.next().text]
  while (tokens.isOperator('.')) {
    tokens.next()
    path.push(tokens.next().text)
  }
  const [head, second, third] = path
  const known =
    (head === 'rego' && second === 'v1' && path.length === 2) ||
    (head === 'future' &&
      second === 'keywords' &&
      (path.length === 2 || (path.length === 3 && third !== undefined && futureKeywords.has(third))))
  if (!known) throw refused('only rego.v1 and future.keywords can be imported', at)
  if (tokens.isKeyword('as')) throw refused('an import cannot be renamed', tokens.peek())
}

function rule(tokens: Cursor): Rule {
  const at = tokens.peek()
  const isDefault = tokens.isKeyword('default')
  if (isDefault) tokens.next()
  const head = ruleHead(tokens)
  const isSet = tokens.isKeyword('contains')
  if (isSet && head.kind !== 'complete') throw refused('contains needs a plain rule name', tokens.peek())
  const given = isSet ? memberOfSet(tokens) : valueAfterAssign(tokens)

  let body: Body | null = null
  if (tokens.isKeyword('if')) {
    body = ruleBody(tokens)
  } else if (tokens.isOperator('{')) {
    throw refused('a rule body must follow the keyword if', tokens.peek())
  } else if (given === null) {
    throw refused('a rule needs a value or a body', tokens.peek())
  }
  const kind = isSet ? 'set' : head.kind
  const otherwise = elseBranches(tokens, kind, body !== null)

  if (isDefault) {
    if (kind !== 'complete') throw refused('default needs a plain rule name', at)
    if (body !== null) throw refused('a default rule cannot have a body', at)
    if (given === null) throw refused('a default rule needs a value', at)
  }
  return { ...head, at, kind, isDefault, value: given ?? yes(at), body, otherwise }
}

/** What a rule or a branch without a value stands for. */
const yes = (at: Token): Term => ({ kind: 'scalar', at, value: true })

/** The name, and what follows it without a space: parameters of a function, or the key of an object. */
function ruleHead(tokens: Cursor): Pick<Rule, 'name' | 'kind' | 'parameters' | 'key'> {
  const { text: name, ...at } = tokens.plainName('rule name')
  if (name === 'input' || name === 'data') throw refused(`${name} cannot be a rule name`, at)
  const follows = (text: string) => tokens.isOperator(text) && !tokens.peek().spaced
  if (follows('(')) {
    tokens.next()
    return { name, kind: 'function', parameters: termList(tokens, ')'), key: null }
  }
  let key: Term
  if (follows('[')) {
    tokens.next()
    key = expression(tokens)
    tokens.operator(']')
  } else if (follows('.')) {
    tokens.next()
    const member = tokens.plainName('name after .')
    key = { kind: 'scalar', at: member, value: member.text }
  } else {
    return { name, kind: 'complete', parameters: [], key: null }
  }
  if (follows('.') || follows('[')) throw refused('a rule head may have one key', tokens.peek())
  return { name, kind: 'object', parameters: [], key }
}

function memberOfSet(tokens: Cursor): Term {
  tokens.next()
  return expression(tokens)
}

/** `null` when no `:=` or `=` follows. */
function valueAfterAssign(tokens: Cursor): Term | null {
  if (!tokens.isOperator(':=') && !tokens.isOperator('=')) return null
  tokens.next()
  return expression(tokens)
}

/** A branch without a body always holds, so none can follow it. */
function elseBranches(tokens: Cursor, kind: Rule['kind'], hasBody: boolean): Rule['otherwise'] {
  const branches: { value: Term; body: Body | null; at: Token }[] = []
  while (tokens.isKeyword('else')) {
    const at = tokens.next()
    if (kind !== 'complete' && kind !== 'function') throw refused('else needs a rule with one value', at)
    if (!hasBody) throw refused('else must follow a rule body', at)
    const given = valueAfterAssign(tokens)
    const body = tokens.isKeyword('if') ? ruleBody(tokens) : null
    if (body === null && given === null) throw refused('else needs a value or a body', tokens.peek())
    branches.push({ value: given ?? yes(at), body, at })
    if (body === null) break
  }
  return branches
}

/** After `if`: braces, or one statement. */
function ruleBody(tokens: Cursor): Body {
  tokens.next()
  if (!tokens.isOperator('{') || isInfix(tokens.afterBracket())) return [statement(tokens)]
  tokens.next()
  return bodyUntil(tokens, '}')
}

/** Braces before one of these are a set or an object in a statement; nothing else can follow them. */
const infix = new Set(['==', '!=', '<', '<=', '>', '>=', '=', '|', '&', '-'])

function isInfix(following: Token): boolean {
  return following.kind !== 'string' && infix.has(following.text)
}
