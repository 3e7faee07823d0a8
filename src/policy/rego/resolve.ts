/**
 * Gives every name in a rule its meaning: a slot of the rule's frame, `input`,
 * `data`, or a rule of the package. A name declared in a body (`:=`, `some`)
 * means that declaration in the whole body; using it earlier is refused. A name
 * that is declared nowhere belongs to the outermost body that mentions it.
 */
import { type Position, RegoSyntaxError } from './failure.ts'
import type { Body, Rule, Statement, Term } from './syntax.ts'
import { visitDirect } from './walk.ts'

/** A local variable. Variables of one rule have distinct slots. */
export interface Variable {
  readonly name: string
  readonly slot: number
}

type Meaning =
  | { readonly kind: 'local'; readonly variable: Variable }
  | { readonly kind: 'input' }
  | { readonly kind: 'data' }
  | { readonly kind: 'rule'; readonly name: string }

export interface Resolution {
  /** Meaning of each variable term. */
  readonly meanings: ReadonlyMap<Term, Meaning>
  /** Variables of enclosing bodies that a comprehension or `every` uses. */
  readonly captured: ReadonlyMap<Term | Statement, ReadonlySet<Variable>>
  /** Slots taken by variables. */
  readonly slots: number
}

class Scope {
  readonly parent: Scope | null
  readonly variables = new Map<string, Variable>()
  /** Declared in this body, but not yet. */
  readonly pending = new Set<string>()
  /** Variables of enclosing scopes used here. */
  readonly captured = new Set<Variable>()

  constructor(parent: Scope | null) {
    this.parent = parent
  }
}

/** The local variable a term is, when nothing has bound it. */
export function unboundVariable(
  resolution: Resolution,
  term: Term,
  bound: ReadonlySet<Variable>,
): Variable | null {
  const meaning = resolution.meanings.get(term)
  return meaning?.kind === 'local' && !bound.has(meaning.variable) ? meaning.variable : null
}

/** Resolves one rule of a package whose rules are `ruleNames`. */
export function resolveRule(rule: Rule, ruleNames: ReadonlySet<string>): Resolution {
  return new Resolver(ruleNames).rule(rule)
}

class Resolver {
  readonly #ruleNames: ReadonlySet<string>
  readonly #meanings = new Map<Term, Meaning>()
  readonly #captured = new Map<Term | Statement, ReadonlySet<Variable>>()
  #slots = 0

  constructor(ruleNames: ReadonlySet<string>) {
    this.#ruleNames = ruleNames
  }

  rule(rule: Rule): Resolution {
    const parameters = new Scope(null)
    for (const parameter of rule.parameters) this.#introduce(parameter, parameters)
    for (const parameter of rule.parameters) this.#term(parameter, parameters)
    const heads = rule.key === null ? [rule.value] : [rule.key, rule.value]
    this.#body(rule.body ?? [], heads, parameters)
    for (const { value, body } of rule.otherwise) this.#body(body ?? [], [value], parameters)
    return { meanings: this.#meanings, captured: this.#captured, slots: this.#slots }
  }

  /** A body and the terms that are evaluated after it, in one scope. */
  #body(body: Body, after: readonly Term[], parent: Scope): Scope {
    const scope = new Scope(parent)
    for (const statement of body) {
      for (const [name, at] of declaredNames(statement)) {
        if (name === 'input' || name === 'data') throw new RegoSyntaxError(`${name} cannot be declared`, at)
        if (scope.variables.has(name)) throw new RegoSyntaxError(`${name} is declared twice`, at)
        if (parent.parent === null && parent.variables.has(name)) {
          throw new RegoSyntaxError(`${name} is a parameter already`, at)
        }
        scope.variables.set(name, this.#variable(name))
        scope.pending.add(name)
      }
    }
    for (const statement of body) for (const term of directTerms(statement)) this.#introduce(term, scope)
    for (const term of after) this.#introduce(term, scope)
    for (const statement of body) this.#statement(statement, scope)
    for (const term of after) this.#term(term, scope)
    return scope
  }

  #variable(name: string): Variable {
    this.#slots += 1
    return { name, slot: this.#slots - 1 }
  }

  /** Makes a variable of every name that means nothing yet. */
  #introduce(term: Term, scope: Scope): void {
    visitDirect(term, (inner) => {
      if (inner.kind !== 'variable' || isGlobal(inner.name) || isKnown(inner.name, scope)) return
      if (!this.#ruleNames.has(inner.name)) scope.variables.set(inner.name, this.#variable(inner.name))
    })
  }

  #statement(statement: Statement, scope: Scope): void {
    switch (statement.kind) {
      case 'term':
        this.#term(statement.term, scope)
        break
      case 'assign':
        this.#term(statement.term, scope)
        for (const [name] of declaredNames(statement)) scope.pending.delete(name)
        this.#term(statement.target, scope)
        break
      case 'unify':
        this.#term(statement.left, scope)
        this.#term(statement.right, scope)
        break
      case 'declare':
        for (const name of statement.names) scope.pending.delete(name)
        break
      case 'some':
        this.#term(statement.domain, scope)
        for (const [name] of declaredNames(statement)) scope.pending.delete(name)
        if (statement.key !== null) this.#term(statement.key, scope)
        this.#term(statement.value, scope)
        break
      case 'every': {
        this.#term(statement.domain, scope)
        const inner = new Scope(scope)
        for (const term of [statement.key, statement.value]) {
          if (term?.kind !== 'variable') continue
          if (isGlobal(term.name)) throw new RegoSyntaxError(`${term.name} cannot be declared`, term.at)
          if (inner.variables.has(term.name))
            throw new RegoSyntaxError(`${term.name} is declared twice`, term.at)
          inner.variables.set(term.name, this.#variable(term.name))
          this.#term(term, inner)
        }
        this.#body(statement.body, [], inner)
        this.#captured.set(statement, inner.captured)
        break
      }
      default:
    }
  }

  #term(term: Term, scope: Scope): void {
    visitDirect(term, (inner) => {
      if (inner.kind === 'variable') this.#meanings.set(inner, this.#meaningOf(inner.name, inner.at, scope))
      if (inner.kind !== 'comprehension') return
      const heads = inner.key === null ? [inner.value] : [inner.key, inner.value]
      this.#captured.set(inner, this.#body(inner.body, heads, scope).captured)
    })
  }

  #meaningOf(name: string, at: Position, from: Scope): Meaning {
    const crossed: Scope[] = []
    for (let scope: Scope | null = from; scope !== null; scope = scope.parent) {
      const variable = scope.variables.get(name)
      if (variable !== undefined) {
        if (scope.pending.has(name)) throw new RegoSyntaxError(`${name} is used before it is declared`, at)
        for (const inner of crossed) inner.captured.add(variable)
        return { kind: 'local', variable }
      }
      crossed.push(scope)
    }
    if (name === 'input') return { kind: 'input' }
    if (name === 'data') return { kind: 'data' }
    return { kind: 'rule', name }
  }
}

function isGlobal(name: string): boolean {
  return name === 'input' || name === 'data'
}

function isKnown(name: string, from: Scope): boolean {
  for (let scope: Scope | null = from; scope !== null; scope = scope.parent) {
    if (scope.variables.has(name)) return true
  }
  return false
}

/** Terms of a statement that are evaluated in the body's own scope. */
export function directTerms(statement: Statement): readonly Term[] {
  switch (statement.kind) {
    case 'term':
      return [statement.term]
    case 'assign':
      return [statement.target, statement.term]
    case 'unify':
      return [statement.left, statement.right]
    case 'some':
      return statement.key === null
        ? [statement.value, statement.domain]
        : [statement.key, statement.value, statement.domain]
    case 'every':
      return [statement.domain]
    default:
      return []
  }
}

function declaredNames(statement: Statement): readonly (readonly [string, Position])[] {
  const names: [string, Position][] = []
  const pattern = (term: Term): void => {
    if (term.kind === 'variable') names.push([term.name, term.at])
    else if (term.kind === 'array') term.items.forEach(pattern)
    else if (term.kind === 'object') for (const [, value] of term.entries) pattern(value)
  }
  if (statement.kind === 'assign') pattern(statement.target)
  else if (statement.kind === 'declare') for (const name of statement.names) names.push([name, statement.at])
  else if (statement.kind === 'some') {
    if (statement.key !== null) pattern(statement.key)
    pattern(statement.value)
  }
  return names
}
