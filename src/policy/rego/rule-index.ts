/**
 * Leaves out rules that cannot hold: where many rules of one name compare the
 * same path of the input with a constant, only those that name the constant at
 * hand are run. A hint only: what is left is evaluated in full.
 */
import { constantOf } from './constant.ts'
import type { Machine } from './machine.ts'
import type { CompiledRule } from './rule-group.ts'
import type { Statement, Term } from './syntax.ts'
import { identityOf, isArray, memberOf, type PlainObject, type Value } from './value.ts'

/** The rules worth running for the input of an evaluation. */
export type RuleIndex = (machine: Machine) => readonly CompiledRule[]

/** Fewer rules than this are simply run. */
const WORTH_INDEXING = 4

export interface IndexedRule {
  readonly compiled: CompiledRule
  /** `input` paths that must equal a constant for the rule to hold. */
  readonly conditions: ReadonlyMap<string, { readonly path: readonly string[]; readonly constant: Value }>
}

/** Collects the conditions of a body that has no `else`. */
export function conditionsOf(
  body: readonly Statement[],
  isInput: (term: Term) => boolean,
): IndexedRule['conditions'] {
  const conditions = new Map<string, { path: readonly string[]; constant: Value }>()
  for (const statement of body) {
    const sides = equality(statement)
    if (sides === null) continue
    for (const [reference, other] of [sides, [sides[1], sides[0]] as const]) {
      const path = inputPath(reference, isInput)
      const constant = constantOf(other)
      if (path === null || constant === undefined || !isScalar(constant)) continue
      conditions.set(path.join('\0'), { path, constant })
    }
  }
  return conditions
}

export function indexRules(rules: readonly IndexedRule[]): RuleIndex {
  const all = rules.map(({ compiled }) => compiled)
  const best = rules.length < WORTH_INDEXING ? undefined : mostUsed(rules)
  if (best === undefined) return () => all
  const [key, path] = best
  const always: CompiledRule[] = []
  const byConstant = new Map<unknown, CompiledRule[]>()
  for (const { compiled, conditions } of rules) {
    const condition = conditions.get(key)
    if (condition === undefined) {
      always.push(compiled)
      continue
    }
    const identity = identityOf(condition.constant)
    const list = byConstant.get(identity)
    if (list === undefined) byConstant.set(identity, [compiled])
    else list.push(compiled)
  }
  for (const list of byConstant.values()) list.push(...always)
  return (machine) => {
    machine.tick()
    let value = machine.input
    for (const name of path) {
      if (typeof value !== 'object' || value === null || isArray(value)) return always
      value = memberOf(value as PlainObject, name)
    }
    return value !== undefined && isScalar(value) ? (byConstant.get(identityOf(value)) ?? always) : always
  }
}

/** Only these are looked up: a composite would have to be read in full. */
function isScalar(value: Value): boolean {
  return typeof value !== 'object' || value === null
}

function mostUsed(rules: readonly IndexedRule[]): readonly [string, readonly string[]] | undefined {
  const uses = new Map<string, { count: number; path: readonly string[] }>()
  for (const { conditions } of rules) {
    for (const [key, { path }] of conditions) {
      uses.set(key, { path, count: (uses.get(key)?.count ?? 0) + 1 })
    }
  }
  let best: readonly [string, readonly string[]] | undefined
  let most = WORTH_INDEXING - 1
  for (const [key, { count, path }] of uses) {
    const distinct = new Set(rules.map(({ conditions }) => identityOf(conditions.get(key)?.constant ?? null)))
      .size
    if (Math.min(count, distinct) > most) {
      most = Math.min(count, distinct)
      best = [key, path]
    }
  }
  return best
}

function equality(statement: Statement): readonly [Term, Term] | null {
  if (statement.kind === 'unify' && !statement.negated) return [statement.left, statement.right]
  if (statement.kind !== 'term' || statement.negated) return null
  const { term } = statement
  if (term.kind !== 'call' || term.name !== '==') return null
  const [left, right] = term.operands
  return left !== undefined && right !== undefined ? [left, right] : null
}

function inputPath(term: Term, isInput: (term: Term) => boolean): readonly string[] | null {
  if (term.kind !== 'reference' || !isInput(term.head)) return null
  const path: string[] = []
  for (const part of term.path) {
    if (part.kind !== 'scalar' || typeof part.value !== 'string') return null
    path.push(part.value)
  }
  return path
}
