/** Visits every term of a tree, outermost first. */
import type { Body, Module, Rule, Statement, Term } from './syntax.ts'

type Visit = (term: Term) => void

export function visitModule(module: Module, visit: Visit): void {
  for (const rule of module.rules) visitRule(rule, visit)
}

function visitRule(rule: Rule, visit: Visit): void {
  for (const parameter of rule.parameters) visitTerm(parameter, visit)
  if (rule.key !== null) visitTerm(rule.key, visit)
  visitTerm(rule.value, visit)
  if (rule.body !== null) visitBody(rule.body, visit)
  for (const { value, body } of rule.otherwise) {
    visitTerm(value, visit)
    if (body !== null) visitBody(body, visit)
  }
}

function visitBody(body: Body, visit: Visit): void {
  for (const statement of body) visitStatement(statement, visit)
}

function visitStatement(statement: Statement, visit: Visit): void {
  switch (statement.kind) {
    case 'term':
      visitTerm(statement.term, visit)
      break
    case 'assign':
      visitTerm(statement.target, visit)
      visitTerm(statement.term, visit)
      break
    case 'unify':
      visitTerm(statement.left, visit)
      visitTerm(statement.right, visit)
      break
    case 'declare':
      break
    default:
      if (statement.key !== null) visitTerm(statement.key, visit)
      visitTerm(statement.value, visit)
      visitTerm(statement.domain, visit)
      if (statement.kind === 'every') visitBody(statement.body, visit)
  }
}

export function visitTerm(term: Term, visit: Visit): void {
  visitDirect(term, (inner) => {
    visit(inner)
    if (inner.kind !== 'comprehension') return
    if (inner.key !== null) visitTerm(inner.key, visit)
    visitTerm(inner.value, visit)
    visitBody(inner.body, visit)
  })
}

/** Visits a term and its parts, but not what is inside a comprehension. */
export function visitDirect(term: Term, visit: Visit): void {
  visit(term)
  switch (term.kind) {
    case 'reference':
      visitDirect(term.head, visit)
      for (const part of term.path) visitDirect(part, visit)
      break
    case 'array':
    case 'set':
      for (const item of term.items) visitDirect(item, visit)
      break
    case 'object':
      for (const [key, value] of term.entries) {
        visitDirect(key, visit)
        visitDirect(value, visit)
      }
      break
    case 'call':
      for (const operand of term.operands) visitDirect(operand, visit)
      break
    default:
  }
}
